"""The room actor: one order of messages for all its members."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from chat_actors.chat import events
from chat_actors.chat.fan_out import FanOut
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block
from chat_actors.kernel import Actor, AnyRef, Kind, Request, Restart, StopReason, Terminated, handles
from chat_actors.protocol import format_timestamp, messages, refusals

DIRECT_MEMBERS = 2
"""Up to so many members, a message is handed out in the turn in which it came in.

With few members there is little for a batch to save, and to wake the room costs as much as to write to one of them.
Many rooms are that small: two people, or one, whose room is named after them.
"""

LINGER = 30.0
"""Seconds between two looks at whether a room is empty that could not close when its last member left."""


class Enter(msgspec.Struct, frozen=True):
    """Let a connection in. It is told `joined`; the others are told `user_joined` if the user was not here yet."""

    member: Member


class Leave(Request[None], msgspec.Struct, frozen=True):
    """Let a connection go. Answered when it is out: it gets nothing from this room any more."""

    session: AnyRef


class Post(msgspec.Struct, frozen=True):
    """Say something to everybody in the room."""

    session: AnyRef
    content: str


class CatchUp(Request[None], msgspec.Struct, frozen=True):
    """Answered when all that was waiting has been handed out."""


class CloseIfEmpty(msgspec.Struct, frozen=True):
    """A room's timer to itself."""


class NotInRoom(msgspec.Struct, frozen=True):
    """Told to a session by a room: it is not, or no longer, a member."""

    room: AnyRef


RoomMessage: TypeAlias = Enter | Leave | Post | CatchUp

ROOMS: Kind[RoomMessage] = Kind("room")
"""Rooms are found by their id: `context.get_or_spawn(ROOMS, room_id)`."""


class RoomState:
    """What outlives a crash of the room's actor: its members stay in it, its numbering goes on, no message is lost."""

    __slots__ = ("fan_out", "is_open", "last_seq")

    def __init__(self, room_id: str, last_seq: int) -> None:
        self.fan_out = FanOut(room_id)
        self.last_seq = last_seq
        self.is_open = False


class RoomActor(Actor[RoomMessage]):
    """Gives every message its place in the room's one order and offers it to every member, the sender included.

    What was waiting in its mailbox goes out as one block at the end of the turn.

    Watches each member's session, so a connection that goes away, however rudely, leaves the room exactly once. Goes
    away itself as soon as it is empty and nobody is on the way in.
    """

    mailbox_capacity = 1024
    supervision = Restart(at_most=5, within=60.0, backoff=(0.05, 2.0))

    def __init__(self, room_id: str, state: RoomState, now: Callable[[], datetime]) -> None:
        self.room_id = room_id
        self.state = state
        self.fan_out = state.fan_out
        self.members = state.fan_out.members
        self._now = now

    async def on_start(self) -> None:
        if not self.state.is_open:
            self.state.is_open = True
            self.context.events.publish(events.RoomOpened(self.room_id))
        self.context.every(LINGER, CloseIfEmpty())

    @handles
    def enter(self, message: Enter) -> None:
        member = message.member
        self.context.watch(member.session)
        if self.fan_out.enter(member):
            self.context.events.publish(events.UserJoined(member.user_id, self.room_id))

    @handles
    def leave(self, message: Leave) -> None:
        self.context.unwatch(message.session)
        self._remove(message.session)

    @handles
    def session_ended(self, message: Terminated) -> None:
        self._remove(message.ref)

    def on_delivery(self, message: RoomMessage) -> None:
        if isinstance(message, Post) and len(self.members) <= DIRECT_MEMBERS:
            self.post(message)
            self.fan_out.hand_out()
        else:
            self.context.self_ref.send_nowait(message)

    @handles
    def post(self, message: Post) -> None:
        member = self.members.get(message.session)
        if member is None:
            message.session.tell(NotInRoom(self.context.self_ref))
            return
        at = self._now()
        self.state.last_seq += 1
        posted = messages.ChatMessage(
            user_id=member.user_id,
            room_id=self.room_id,
            content=message.content,
            timestamp=format_timestamp(at),
            seq=self.state.last_seq,
        )
        self.fan_out.add(posted)
        if self.context.events.has_listeners(events.MessagePosted):
            self.context.events.publish(events.MessagePosted(member.user_id, self.room_id, posted.seq, at))

    @handles
    def catch_up(self, request: CatchUp) -> None:
        self.fan_out.hand_out()

    def on_turn_end(self) -> None:
        self.fan_out.hand_out()

    @handles
    def close_if_empty(self, message: CloseIfEmpty) -> None:
        self._close_if_empty()

    def on_failure(self, message: Any, error: Exception) -> None:
        match message:
            case Enter(member=member) if member.session in self.members:
                pass  # it crashed after letting them in, so they are in
            case Enter(member=member):
                member.session.tell(NotInRoom(self.context.self_ref))
            case Leave(session=gone) | Terminated(ref=gone):
                self._say_left(gone)  # nobody will tell the next life of it
            case Post(session=session) if (author := self.members.get(session)) is not None:
                author.outbox.offer(Block.of(refusals.ROOM_FAILED.as_error()))
            case _:
                pass

    async def on_stop(self, reason: StopReason) -> None:
        self.fan_out.hand_out()  # after a crash for good: what has its number is heard
        self.context.events.publish(events.RoomClosed(self.room_id))

    def _remove(self, session: AnyRef) -> None:
        self._say_left(session)
        self._close_if_empty()

    def _say_left(self, session: AnyRef) -> None:
        user_id = self.fan_out.leave(session)
        if user_id is not None:
            self.context.events.publish(events.UserLeft(user_id, self.room_id))

    def _close_if_empty(self) -> None:
        if not len(self.members):
            # If anything is still on its way in, the room stays, and looks again when that has left or by its timer.
            self.context.stop_if_idle()
