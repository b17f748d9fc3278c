"""The memberships of a session: its current room, if any, and its additional rooms.

A room owns its membership; the session keeps a ref to the room, to route messages. The room's answer to `JoinRoom` has
the number of the join, which tells whether a later notice of the room is about this stay or an earlier one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import anyio
import msgspec

from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.limits import Limits
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
from chat_actors.chat.user_rates import RateBuckets
from chat_actors.kernel import ActorStopped, AnyRef, AskFailed, AskTimeout, Context, Ref
from chat_actors.protocol import ExtensionCommand, Refusal, is_room_id, refusals
from chat_actors.storage import Journal, StorageError

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 10.0
"""Seconds that a session waits for a room to admit or remove it.

A timeout crashes the session: it could not know whether it is a member.
"""


JOIN_WITHIN = 40.0
"""The same for a join: the room may have to start, and may restart meanwhile."""


class Stay(msgspec.Struct, frozen=True):
    """The session's membership of one room. `number` is that of the join."""

    room: Ref[RoomMessage]
    room_id: str
    number: int


class JoinRequest(msgspec.Struct, frozen=True):
    """A client's request to join a room. With `since`, the client receives what it missed after that number."""

    room_id: str
    user_id: str
    request_id: str | None = None
    since: int | None = None
    is_additional: bool = False
    """Whether the current room stays the current room."""


class Memberships:
    """The part of a session that joins and leaves rooms."""

    __slots__ = ("_additional", "_context", "_journal", "_limits", "_outbox", "current")

    def __init__(self, context: Context, outbox: Outbox, limits: Limits, journal: Journal | None) -> None:
        self._context = context
        self._outbox = outbox
        self._limits = limits
        self._journal = journal
        self.current: Stay | None = None
        self._additional: dict[str, Stay] | None = None  # made at the first additional join

    def __len__(self) -> int:
        return len(self._additional or ()) + (self.current is not None)

    def __iter__(self) -> Iterator[Stay]:
        if self.current is not None:
            yield self.current
        yield from (self._additional or {}).values()

    @property
    def has_additional(self) -> bool:
        return bool(self._additional)

    def find(self, room_id: str) -> Stay | None:
        """The stay in a room, or None if the session is not in it."""
        if self.current is not None and self.current.room_id == room_id:
            return self.current
        return self._additional.get(room_id) if self._additional else None

    def named(self, room_id: str | None) -> Stay | Refusal:
        """The stay in the room that a command names; without a name, in the current room."""
        stay = self.current if room_id is None else self.find(room_id)
        if stay is not None:
            return stay
        if room_id is not None:
            return refusals.NOT_JOINED
        return refusals.NO_CURRENT_ROOM if self._additional else refusals.NOT_IN_ROOM

    def of(self, command: ExtensionCommand) -> Stay | Refusal | None:
        """The stay in the room that a command of an extension is about, or None if it names no room."""
        if command.room_id is None or command.names_own_room():
            return self.current
        return self.find(command.room_id) or refusals.NOT_JOINED

    def find_by_ref(self, room: AnyRef) -> Stay | None:
        return next((stay for stay in self if stay.room is room), None)

    def concerned_by(self, notice: NotAMember | MemberRemoved) -> Stay | None:
        """The stay that a notice of a room is about, unless it is about an earlier stay."""
        stay = self.find_by_ref(notice.room)
        return stay if stay is not None and notice.joins >= stay.number else None

    # -- joining -------------------------------------------------------------------------------------------------------

    async def check_join(self, room_id: str, user_id: str, *, is_query: bool = False) -> Refusal | None:
        """Ask a room whether it would admit the user, starting it if necessary. A refusal or None."""
        try:
            room = self._context.get_or_spawn(ROOMS, room_id)
            return await room.ask(CheckJoin(user_id, is_query), timeout=ANSWER_WITHIN)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE

    async def enter(self, request: JoinRequest, rates: RateBuckets) -> Refusal | None:
        """Join a room, within the limits. Unless it is additional, leave the current room before.

        Returns a refusal, or None once the client has been sent the answer. Raises `AskTimeout`.
        """
        if not is_room_id(request.room_id):
            return refusals.INVALID_ROOM_ID
        earlier = self.find(request.room_id)
        leaves = None if request.is_additional or earlier is self.current else self.current
        is_one_more = earlier is None and leaves is None
        if is_one_more and self._limits.rooms_per_connection and len(self) >= self._limits.rooms_per_connection:
            return refusals.room_limit(self._limits.rooms_per_connection)
        if not rates.take_room_change(anyio.current_time()):
            return refusals.TOO_MANY_ROOMS
        if leaves is not None:
            refusal = await self.check_join(request.room_id, request.user_id) if earlier is None else None
            if refusal is not None:
                return refusal  # a refused client stays in its room
            await self.leave(leaves)
        refusal = await self._join(request)
        return None if refusal is None else self._refuse(refusal, request, earlier, leaves)

    def _refuse(
        self, refusal: Refusal, request: JoinRequest, earlier: Stay | None, left: Stay | None
    ) -> Refusal | None:
        """Send an error for each room that the client may believe to be in. If there is none, the refusal."""
        ended = [] if left is None else [left.room_id]
        is_removed = earlier is not None and self.find(request.room_id) is None
        if is_removed or refusal is refusals.ROOM_CLOSED:  # a room that failed may have sent `joined` before
            ended.insert(0, request.room_id)
        for n, room_id in enumerate(ended):
            self._tell_removed(room_id, refusal, None if n else request.request_id)
        return None if ended else refusal

    async def _join(self, request: JoinRequest) -> Refusal | None:
        """Join a room, starting it if necessary. A refusal, or None once the client has been sent the answer.

        A room that is joined already is joined again: its members are not notified. After a refusal, the session may be
        out of it. Raises `AskTimeout`.
        """
        earlier = self.find(request.room_id)
        is_additional = request.is_additional and (earlier is None or earlier is not self.current)
        held = None if request.since is None else HeldOutbox(self._outbox, self._limits.backlog_bytes)
        member = Member(self._context.self_ref, request.user_id, held or self._outbox)
        join = JoinRoom(member, request.request_id, replays=held is not None, is_additional=is_additional)
        answer = await self._ask_to_join(request.room_id, join)
        if isinstance(answer, Refusal):
            return answer
        return None if held is None else await self._replay(held, answer, request, is_additional)

    async def _ask_to_join(self, room_id: str, join: JoinRoom) -> JoinedRoom | Refusal:
        """The answer of the room. If it failed on the request, or ended twice, neither side has the member."""
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
                self._add(Stay(room, room_id, answer.number), is_additional=join.is_additional)
            return answer
        self._forget_room(room_id)
        return refusals.ROOM_CLOSED

    def _add(self, stay: Stay, *, is_additional: bool) -> None:
        self._forget_room(stay.room_id)  # the stay may have been in a previous actor for this room
        if not is_additional:
            self.current = stay
        elif self._additional is None:
            self._additional = {stay.room_id: stay}
        else:
            self._additional[stay.room_id] = stay
        self._context.watch(stay.room)

    async def _replay(
        self, held: HeldOutbox, joined: JoinedRoom, request: JoinRequest, is_additional: bool
    ) -> Refusal | None:
        stay, is_answered = self.find(request.room_id), False
        if stay is None or request.since is None:
            raise AssertionError("only a member that asked for it receives a replay")
        try:
            answer = await make_rejoined(
                self._journal, stay.room_id, request.user_id, request.request_id, request.since, joined.last_seq
            )
            answer = msgspec.structs.replace(answer, state=joined.state, additional=is_additional or None)
            self._outbox.offer(Block.of(answer))
            is_answered = True
            if self._journal is not None and answer.missed:
                await replay(
                    self._journal,
                    stay.room_id,
                    self._outbox,
                    held,
                    after=request.since,
                    up_to=joined.last_seq,
                    lost=answer.lost or 0,
                )
        except StorageError as error:
            logger.error("missed messages cannot be replayed: %s", error)
            await self.leave(stay)  # the room discards what is held
            if not is_answered:
                return refusals.INTERNAL_FAILURE
            self._tell_removed(stay.room_id, refusals.INTERNAL_FAILURE, request.request_id)
            return None
        try:
            await stay.room.send(Replayed(self._context.self_ref))
        except ActorStopped:
            pass  # the room's `Terminated` follows and sends the error
        return None

    def _tell_removed(self, room_id: str, refusal: Refusal, request_id: str | None) -> None:
        self._outbox.offer(Block.of(refusal.as_error(request_id, removed_from=room_id)))

    # -- leaving -------------------------------------------------------------------------------------------------------

    async def leave(self, stay: Stay) -> None:
        """Leave a room. It sends the client nothing after that. Raises `AskTimeout`."""
        self.forget(stay)
        try:
            # Wait for the answer, so that everything after the next answer to the client is from other rooms.
            await stay.room.ask(LeaveRoom(self._context.self_ref), timeout=ANSWER_WITHIN)
        except (ActorStopped, AskFailed):
            pass  # the room has ended, and its members with it

    async def leave_all(self) -> None:
        """Leave all rooms. Raises `AskTimeout`."""
        for stay in list(self):
            await self.leave(stay)

    def forget(self, stay: Stay) -> None:
        """Remove a stay without notifying the room."""
        if stay is self.current:
            self.current = None
        elif self._additional is not None:
            self._additional.pop(stay.room_id, None)
        self._context.unwatch(stay.room)

    def _forget_room(self, room_id: str) -> None:
        stay = self.find(room_id)
        if stay is not None:
            self.forget(stay)
