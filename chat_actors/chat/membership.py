"""In which room a session is: one at a time, or none."""

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
"""Seconds that a session waits for a room to let it in or to let it go.

A room that does not answer in time crashes the session: nobody could say any more which room it is in.
"""


class Membership:
    """The part of a session that goes from room to room."""

    __slots__ = ("_backlog_bytes", "_context", "_journal", "_outbox", "room", "room_id")

    def __init__(self, context: Context, outbox: Outbox, backlog_bytes: int, journal: Journal | None) -> None:
        self._context = context
        self._outbox = outbox
        self._backlog_bytes = backlog_bytes
        self._journal = journal
        self.room: Ref[RoomMessage] | None = None
        self.room_id = ""

    async def check_join(self, room_id: str, user_id: str) -> Refusal | None:
        """Ask a room of a kind, before the one where the session is has been left. Why not, or None."""
        try:
            return await self._context.get_or_spawn(ROOMS, room_id).ask(CheckJoin(user_id), timeout=ANSWER_WITHIN)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE

    async def join(self, room_id: str, user_id: str, request_id: str | None) -> Refusal | None:
        """Go into a room, which is opened if need be. Why not, or None: then the room tells the client."""
        member = Member(self._context.self_ref, user_id, self._outbox)
        while True:
            try:
                room = self._context.get_or_spawn(ROOMS, room_id)
            except ActorStopped:
                return refusals.INTERNAL_FAILURE  # the server is stopping
            try:
                await room.send(JoinRoom(member, request_id))
            except ActorStopped:
                continue  # it went away, being empty, just before: the next one is new
            self._set_room(room, room_id)
            return None

    async def rejoin(self, room_id: str, user_id: str, request_id: str | None, since: int) -> Refusal | None:
        """As `enter`, but the client first gets what it missed since then: all of it, once, in order, then live.

        What is said meanwhile waits in an outbox of its own. Raises `AskTimeout`.
        """
        held = HeldOutbox(self._outbox, self._backlog_bytes)
        entered = await self._join_silently(room_id, Member(self._context.self_ref, user_id, held))
        if isinstance(entered, Refusal):
            return entered
        last = entered.last_seq
        try:
            joined = await make_rejoined(self._journal, room_id, user_id, request_id, since, last)
            joined = msgspec.structs.replace(joined, state=entered.state)
            self._outbox.offer(Block.of(joined))
            if self._journal is not None:
                await replay(self._journal, room_id, self._outbox, after=since, up_to=last, lost=joined.lost or 0)
        except StorageError as error:
            logger.error("a client cannot catch up: %s", error)
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
            entered = await room.ask(JoinSilently(member), timeout=ANSWER_WITHIN)
        except (ActorStopped, AskFailed):
            return refusals.ROOM_CLOSED  # it failed: a room does not go away, being empty, with a request on its way
        if isinstance(entered, JoinedRoom):
            self._set_room(room, room_id)
        return entered

    def _set_room(self, room: Ref[RoomMessage], room_id: str) -> None:
        if room is not self.room:
            self.forget()  # one of the same id, which failed for good while this join was on its way
        self.room, self.room_id = room, room_id
        self._context.watch(room)

    async def leave(self) -> None:
        """Go out of the room, if in one. After this nothing of that room can reach the client. Raises `AskTimeout`."""
        room = self.forget()
        if room is not None:
            try:
                # An answer and not just a message: so what the client sees after `joined` is of the new room.
                await room.ask(LeaveRoom(self._context.self_ref), timeout=ANSWER_WITHIN)
            except (ActorStopped, AskFailed):
                pass  # a room that is gone has no members

    def forget(self) -> Ref[RoomMessage] | None:
        """Be in no room, without a word to it."""
        room, self.room, self.room_id = self.room, None, ""
        if room is not None:
            self._context.unwatch(room)
        return room
