"""How a session joins and leaves a room: the exchange with the room, and the replay.

Neither side has the member after a join that fails: the room does not admit it, or the session leaves again.
"""

from __future__ import annotations

import logging
from typing import TypeAlias

import anyio
import msgspec

from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.recovery import MissedRemoved, make_rejoined, replay
from chat_actors.chat.room_messages import ROOMS, CheckJoin, JoinedRoom, JoinRoom, LeaveRoom, Replayed, RoomMessage
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Context, Ref
from chat_actors.protocol import Refusal, refusals
from chat_actors.storage import Journal, StorageError

logger = logging.getLogger(__name__)

JOIN_WITHIN = 40.0
"""Seconds that a session waits for a room to admit it. The room may have to start, and may restart meanwhile."""

LEAVE_WITHIN = 40.0
"""Seconds that a session's turn waits for a room to remove it. The room first stores the session's earlier posts."""

LEAVE_AT_LAST = 600.0
"""The same beside the turns. A timeout crashes the session: it could not know whether it is a member."""


class JoinRequest(msgspec.Struct, frozen=True):
    """A client's request to join a room. With `since`, the client receives what it missed after that number."""

    room_id: str
    user_id: str
    request_id: str | None = None
    since: int | None = None
    is_additional: bool = False
    """Whether the room is one more besides the current room, which stays the current room."""
    member_of: Ref[RoomMessage] | None = None
    """The room's actor, if the session is in the room already. The other members are not notified then."""

    @property
    def is_member(self) -> bool:
        return self.member_of is not None


class Membership(msgspec.Struct, frozen=True):
    """A session's membership of one room. `number` is that of the join."""

    room: Ref[RoomMessage]
    room_id: str
    number: int


class LostRoom(msgspec.Struct, frozen=True):
    """A join failed after the client may have been told of it, or was in the room: it is in the room no longer."""

    refusal: Refusal


JoinOutcome: TypeAlias = Membership | Refusal | LostRoom


class RoomJoins:
    """Joins and leaves rooms for one session. Keeps no membership."""

    __slots__ = ("_backlog_bytes", "_context", "_journal", "_outbox", "_replaying")

    def __init__(self, context: Context, outbox: Outbox, backlog_bytes: int, journal: Journal | None) -> None:
        self._context = context
        self._outbox = outbox
        self._backlog_bytes = backlog_bytes
        self._journal = journal
        self._replaying: anyio.Lock | None = None  # made at the first replay

    async def check(self, room_id: str, user_id: str, *, is_query: bool = False) -> Refusal | None:
        """Ask a room whether it would admit the user, starting it if necessary. A refusal or None."""
        try:
            room = self._context.get_or_spawn(ROOMS, room_id)
            return await room.ask(CheckJoin(user_id, is_query), timeout=JOIN_WITHIN)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE

    async def join(self, request: JoinRequest) -> JoinOutcome:
        """Join a room, starting it if necessary. After a join with `since`, the client has received its replay."""
        if request.since is None:
            return await self._join(request, None)
        if not request.is_member:  # a room that starts slowly must not hold up the replays of others
            refusal = await self.check(request.room_id, request.user_id)
            if refusal is not None:
                return refusal
        if self._replaying is None:
            self._replaying = anyio.Lock()
        async with self._replaying:  # one at a time: each holds back the live messages of a room, and fills the outbox
            return await self._join(request, HeldOutbox(self._outbox, self._backlog_bytes))

    async def _join(self, request: JoinRequest, held: HeldOutbox | None) -> JoinOutcome:
        member = Member(self._context.self_ref, request.user_id, held or self._outbox)
        join = JoinRoom(member, request.request_id, held is not None, request.is_additional)
        room, answer = await self._ask(request, join)
        if room is None or not isinstance(answer, JoinedRoom):
            return answer if isinstance(answer, Refusal) and not request.is_member else LostRoom(_refusal_of(answer))
        membership = Membership(room, request.room_id, answer.number)
        if held is not None:
            failure = await self._replay(membership, answer, held, request)
            if failure is not None:
                return failure
        return membership

    async def _ask(
        self, request: JoinRequest, join: JoinRoom
    ) -> tuple[Ref[RoomMessage] | None, JoinedRoom | Refusal | None]:
        """The room and its answer. None if it failed on the request, or ended: neither side has the member."""
        for _ in range(2):  # the first attempt may reach a room that is just closing as empty
            try:
                room = self._context.get_or_spawn(ROOMS, request.room_id)
            except ActorStopped:
                return None, refusals.INTERNAL_FAILURE  # the server is stopping
            if request.is_member and room is not request.member_of:
                break  # the client has to learn that its posts in the room that ended may be lost
            try:
                return room, await room.ask(join, timeout=JOIN_WITHIN)
            except ActorStopped:
                continue
            except AskFailed:
                break
            except AskTimeout:
                await self._leave(room, LEAVE_AT_LAST)  # the room may still admit the session: it leaves after that
                break
        return None, None

    async def _replay(
        self, membership: Membership, joined: JoinedRoom, held: HeldOutbox, request: JoinRequest
    ) -> Refusal | LostRoom | None:
        """Send `joined` and what the client missed, then release the live messages. Why it failed, or None."""
        room_id, since, is_answered = request.room_id, request.since or 0, False
        try:
            answer = await make_rejoined(
                self._journal, room_id, request.user_id, request.request_id, since, joined.last_seq
            )
            answer = msgspec.structs.replace(answer, state=joined.state, additional=request.is_additional or None)
            self._outbox.offer(Block.of(answer))
            is_answered = True
            if self._journal is not None and answer.missed:
                lost, last = answer.lost or 0, joined.last_seq
                await replay(self._journal, room_id, self._outbox, held, after=since, up_to=last, lost=lost)
        except (StorageError, MissedRemoved) as error:
            logger.error("missed messages cannot be replayed: %s", error)
            await self._leave(membership.room, LEAVE_AT_LAST)  # the room discards what is held
            failed = refusals.INTERNAL_FAILURE
            return LostRoom(failed) if is_answered or request.is_member else failed
        try:
            await membership.room.send(Replayed(self._context.self_ref))
        except ActorStopped:
            pass  # the room's `Terminated` follows and sends the error
        return None

    async def leave(self, membership: Membership, *, within: float = LEAVE_WITHIN) -> None:
        """Leave a room, after the session's earlier posts. It sends the client nothing more. Raises `AskTimeout`."""
        await self._leave(membership.room, within)

    async def _leave(self, room: Ref[RoomMessage], within: float) -> None:
        try:
            await room.ask(LeaveRoom(self._context.self_ref), timeout=within)
        except (ActorStopped, AskFailed):
            pass  # the room has ended, and its members with it


def _refusal_of(answer: JoinedRoom | Refusal | None) -> Refusal:
    return answer if isinstance(answer, Refusal) else refusals.ROOM_CLOSED
