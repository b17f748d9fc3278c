"""The membership of a session: it is in one room at a time, or in none."""

from __future__ import annotations

import logging

import msgspec

from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.recovery import HeldOutbox, make_rejoined, replay
from chat_actors.chat.room_messages import ROOMS, CheckJoin, JoinedRoom, JoinRoom, JoinSilently, LeaveRoom, RoomMessage
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Context, Ref
from chat_actors.protocol import Refusal, refusals
from chat_actors.storage import Journal, StorageError

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 10.0
"""Seconds that a session waits for a room to admit or remove it.

A timeout crashes the session: it could not know whether it is still a member.
"""


class Membership:
    """The part of a session that joins and leaves rooms."""

    __slots__ = ("_backlog_bytes", "_context", "_journal", "_outbox", "room", "room_id")

    def __init__(self, context: Context, outbox: Outbox, backlog_bytes: int, journal: Journal | None) -> None:
        self._context = context
        self._outbox = outbox
        self._backlog_bytes = backlog_bytes
        self._journal = journal
        self.room: Ref[RoomMessage] | None = None
        self.room_id = ""

    async def check_join(self, room_id: str, user_id: str, *, is_query: bool = False) -> Refusal | None:
        """Ask a room with a room kind whether it would admit the user. A refusal or None."""
        try:
            room = self._context.get_or_spawn(ROOMS, room_id)
            return await room.ask(CheckJoin(user_id, is_query), timeout=ANSWER_WITHIN)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE

    async def join(self, room_id: str, user_id: str, request_id: str | None) -> Refusal | None:
        """Join a room, starting it if necessary. A refusal, or None; then the room sends `joined`."""
        member = Member(self._context.self_ref, user_id, self._outbox)
        while True:
            try:
                room = self._context.get_or_spawn(ROOMS, room_id)
            except ActorStopped:
                return refusals.INTERNAL_FAILURE  # the server is stopping
            try:
                await room.send(JoinRoom(member, request_id))
            except ActorStopped:
                continue  # the empty room has just closed: start a new one
            self._set_room(room, room_id)
            return None

    async def rejoin(self, room_id: str, user_id: str, request_id: str | None, since: int) -> Refusal | None:
        """Join a room and replay what the client missed after number `since`; see `recovery`. A refusal or None.

        Raises `AskTimeout`.
        """
        held = HeldOutbox(self._outbox, self._backlog_bytes)
        answer = await self._join_silently(room_id, Member(self._context.self_ref, user_id, held))
        if isinstance(answer, Refusal):
            return answer
        last = answer.last_seq
        try:
            joined = await make_rejoined(self._journal, room_id, user_id, request_id, since, last)
            joined = msgspec.structs.replace(joined, state=answer.state)
            self._outbox.offer(Block.of(joined))
            if self._journal is not None and joined.missed:
                await replay(self._journal, room_id, self._outbox, after=since, up_to=last, lost=joined.lost or 0)
        except StorageError as error:
            logger.error("missed messages cannot be replayed: %s", error)
            await self.leave()
            return refusals.INTERNAL_FAILURE
        held.release()
        return None

    async def _join_silently(self, room_id: str, member: Member) -> JoinedRoom | Refusal:
        try:
            room = self._context.get_or_spawn(ROOMS, room_id)
        except ActorStopped:
            return refusals.INTERNAL_FAILURE  # the server is stopping
        try:
            answer = await room.ask(JoinSilently(member), timeout=ANSWER_WITHIN)
        except (ActorStopped, AskFailed):
            return refusals.ROOM_CLOSED  # the room failed: it does not close as empty while a request is queued
        if isinstance(answer, JoinedRoom):
            self._set_room(room, room_id)
        return answer

    def _set_room(self, room: Ref[RoomMessage], room_id: str) -> None:
        if room is not self.room:
            self.forget()  # a previous actor for this room, which failed while this join was queued
        self.room, self.room_id = room, room_id
        self._context.watch(room)

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
