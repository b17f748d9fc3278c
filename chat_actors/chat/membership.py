"""The membership of a session: it is in one room at a time, or in none.

The room owns the membership; the session keeps a ref to the room, to route messages. The room's answer to `JoinRoom`
has the number of the join, which tells whether a later notice of the room is about this stay or an earlier one.
"""

from __future__ import annotations

import logging

import msgspec

from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.recovery import make_rejoined, replay
from chat_actors.chat.room_messages import (
    ROOMS,
    CheckJoin,
    JoinedRoom,
    JoinRoom,
    LeaveRoom,
    MemberRemoved,
    NotAMember,
    Replayed,
    RoomMessage,
)
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Context, Ref
from chat_actors.protocol import Refusal, refusals
from chat_actors.storage import Journal, StorageError

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 10.0
"""Seconds that a session waits for a room to admit or remove it.

A timeout crashes the session: it could not know whether it is a member.
"""


JOIN_WITHIN = 40.0
"""The same for a join: the room may have to start, and may restart meanwhile."""


class Membership:
    """The part of a session that joins and leaves rooms."""

    __slots__ = ("_backlog_bytes", "_context", "_journal", "_number", "_outbox", "room", "room_id")

    def __init__(self, context: Context, outbox: Outbox, backlog_bytes: int, journal: Journal | None) -> None:
        self._context = context
        self._outbox = outbox
        self._backlog_bytes = backlog_bytes
        self._journal = journal
        self._number = 0
        self.room: Ref[RoomMessage] | None = None
        self.room_id = ""

    async def check_join(self, room_id: str, user_id: str, *, is_query: bool = False) -> Refusal | None:
        """Ask a room whether it would admit the user, starting it if necessary. A refusal or None."""
        try:
            room = self._context.get_or_spawn(ROOMS, room_id)
            return await room.ask(CheckJoin(user_id, is_query), timeout=ANSWER_WITHIN)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE

    async def join(self, room_id: str, user_id: str, request_id: str | None, since: int | None) -> Refusal | None:
        """Join a room, starting it if necessary. A refusal, or None once the client has been sent the answer.

        With `since`, replays what the client missed after that number; see `recovery`. Raises `AskTimeout`.
        """
        was_member = self.room_id == room_id
        held = None if since is None else HeldOutbox(self._outbox, self._backlog_bytes)
        member = Member(self._context.self_ref, user_id, held or self._outbox)
        answer = await self._ask_to_join(room_id, JoinRoom(member, request_id, replays=held is not None))
        if answer is None:
            self._tell_removed(room_id, request_id, refusals.ROOM_CLOSED)
        elif isinstance(answer, Refusal):
            return answer
        elif held is not None and since is not None:
            return await self._replay(held, answer, user_id, request_id, since, was_member=was_member)
        return None

    async def _ask_to_join(self, room_id: str, join: JoinRoom) -> JoinedRoom | Refusal | None:
        """The answer of the room. None if it failed on the request, or ended twice: neither side has the member."""
        for _ in range(2):  # the first attempt may reach a room that is just closing as empty
            try:
                room = self._context.get_or_spawn(ROOMS, room_id)
            except ActorStopped:
                return refusals.INTERNAL_FAILURE  # the server is stopping
            try:
                answer = await room.ask(join, timeout=JOIN_WITHIN)
            except ActorStopped:
                continue
            except AskFailed:
                break
            if isinstance(answer, JoinedRoom):
                self._set_room(room, room_id, answer.number)
            return answer
        self.forget()
        return None

    async def _replay(
        self,
        held: HeldOutbox,
        joined: JoinedRoom,
        user_id: str,
        request_id: str | None,
        since: int,
        *,
        was_member: bool,
    ) -> Refusal | None:
        room_id, last, is_answered = self.room_id, joined.last_seq, False
        try:
            answer = await make_rejoined(self._journal, room_id, user_id, request_id, since, last)
            self._outbox.offer(Block.of(msgspec.structs.replace(answer, state=joined.state)))
            is_answered = True
            if self._journal is not None and answer.missed:
                lost = answer.lost or 0
                await replay(self._journal, room_id, self._outbox, held, after=since, up_to=last, lost=lost)
        except StorageError as error:
            logger.error("missed messages cannot be replayed: %s", error)
            await self.leave()  # the room discards what is held
            if not is_answered and not was_member:
                return refusals.INTERNAL_FAILURE
            self._tell_removed(room_id, request_id, refusals.INTERNAL_FAILURE)
            return None
        if self.room is not None:
            try:
                await self.room.send(Replayed(self._context.self_ref))
            except ActorStopped:
                pass  # the room's `Terminated` follows and sends the error
        return None

    def _tell_removed(self, room_id: str, request_id: str | None, refusal: Refusal) -> None:
        """Send an error with the room's id: the client is not in it, though it may have been."""
        self._outbox.offer(Block.of(refusal.as_error(request_id, removed_from=room_id)))

    def _set_room(self, room: Ref[RoomMessage], room_id: str, number: int) -> None:
        if room is not self.room:
            self.forget()  # a previous actor for this room, which failed while this join was queued
        self.room, self.room_id, self._number = room, room_id, number
        self._context.watch(room)

    def is_about_this_stay(self, notice: NotAMember | MemberRemoved) -> bool:
        """Whether a notice of a room is about the current membership, not about an earlier one."""
        return notice.room is self.room and notice.joins >= self._number

    async def leave(self) -> None:
        """Leave the current room, if any. The room sends the client nothing after that. Raises `AskTimeout`."""
        room = self.forget()
        if room is not None:
            try:
                # Wait for the answer, so that everything after the next `joined` is from the new room.
                await room.ask(LeaveRoom(self._context.self_ref), timeout=ANSWER_WITHIN)
            except (ActorStopped, AskFailed):
                pass  # the room has ended, and its members with it

    def forget(self) -> Ref[RoomMessage] | None:
        """Reset the membership without notifying the room."""
        room, self.room, self.room_id = self.room, None, ""
        if room is not None:
            self._context.unwatch(room)
        return room
