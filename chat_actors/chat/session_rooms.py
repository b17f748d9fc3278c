"""The part of a session that enters and leaves rooms, and that handles the notices of its rooms.

Theory of operation. Part 1 executes commands one at a time, so a plain join or leave runs in the session's turn. The
joins and leaves of additional rooms run beside the turns, each as a change of its room, so that a room that is slow to
start, to store or to replay holds up no other. A command that names a room waits for that room's change: `hold` keeps
it, in order, and `finish_join` and `finish_leave` return it once the change has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import anyio
import msgspec
from msgspec import structs

from chat_actors.chat.caller_outbox import CallerOutbox
from chat_actors.chat.limits import Limits
from chat_actors.chat.memberships import Memberships
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.room_joins import LEAVE_AT_LAST, JoinOutcome, JoinRequest, LostRoom, Membership, RoomJoins
from chat_actors.chat.room_messages import MemberRemoved, NotAMember
from chat_actors.chat.user_rates import RateBuckets
from chat_actors.kernel import AnyRef, Context
from chat_actors.protocol import (
    AnyCommand,
    Authenticate,
    ExtensionCommand,
    Join,
    Leave,
    ListMembers,
    Post,
    ReadHistory,
    Refusal,
    SwitchRoom,
    is_room_id,
    messages,
    refusals,
)
from chat_actors.storage import Journal


class JoinEnded(msgspec.Struct, frozen=True):
    """The join of an additional room has ended."""

    request: JoinRequest
    outcome: JoinOutcome


class LeaveEnded(msgspec.Struct, frozen=True):
    """The leave of an additional room has ended."""

    room_id: str
    request_id: str | None


class ChangeFailed(msgspec.Struct, frozen=True):
    """A change of a room has failed so that the session does not know whether it is a member."""

    error: Exception


class SessionRooms:
    """Enters and leaves rooms for a session. `memberships` holds the result."""

    __slots__ = ("_caller_outboxes", "_context", "_joins", "_limits", "_outbox", "memberships")

    def __init__(self, context: Context, outbox: Outbox, limits: Limits, journal: Journal | None) -> None:
        self._context = context
        self._outbox = outbox
        self._limits = limits
        self._joins = RoomJoins(context, outbox, limits.backlog_bytes, journal)
        self.memberships = Memberships()
        self._caller_outboxes: dict[str | None, CallerOutbox] = {}

    def caller_outbox(self, membership: Membership | None) -> CallerOutbox:
        """The outbox for a command of an extension: it ends with the membership, or with all of the user's."""
        return self._caller_outboxes.setdefault(
            None if membership is None else membership.room_id, CallerOutbox(self._outbox)
        )

    def hold(self, command: AnyCommand) -> bool:
        """Hold a command that waits for the change of a room. Whether it is held, or refused since too many are."""
        found = self.memberships.hold(command, self._rooms_of(command))
        if isinstance(found, Refusal):
            self._tell(found.as_error(command.request_id))
        return found is not False

    def _rooms_of(self, command: AnyCommand) -> Sequence[str]:
        """The rooms for whose changes a command has to wait."""
        match command:
            case Authenticate():  # it may leave all rooms
                return self.memberships.changing_rooms
            case Join():
                return (command.room_id or command.user_id,)
            case SwitchRoom() | Post() | Leave() | ListMembers() | ReadHistory():
                return () if command.room_id is None else (command.room_id,)
            case ExtensionCommand():
                return () if command.named_room is None else (command.named_room,)
            case _:
                return ()

    async def check_join(self, room_id: str, user_id: str) -> Refusal | None:
        """Ask a room whether the user may read it, starting it if necessary. A refusal or None."""
        return await self._joins.check(room_id, user_id, is_query=True)

    # -- joining -------------------------------------------------------------------------------------------------------

    async def join(self, request: JoinRequest, rates: RateBuckets) -> Refusal | None:
        """Join a room, within the limits. Unless it is additional, the session leaves its current room.

        Returns a refusal, or None: then the client has been sent the answer, or it follows. Raises `AskTimeout`.
        """
        earlier, current = self._find_running(request.room_id), self.memberships.current
        refusal = self._refusal_to(request, earlier, current, rates)
        if refusal is not None:
            return refusal
        is_additional = request.is_additional and (earlier is None or earlier is not current)
        member_of = None if earlier is None else earlier.room
        resolved = structs.replace(request, is_additional=is_additional, member_of=member_of)
        if is_additional:
            self._begin_join(resolved)
            return None
        if current is None or earlier is current:
            return self._settle(resolved, await self._joins.join(resolved))
        return await self._move(resolved, current)

    def _begin_join(self, request: JoinRequest) -> None:
        # A member that joins again is none for the session until the answer. So each notice waits for the answer,
        # whose number tells whether the notice is about this stay.
        self._unwatch(request.room_id)
        self.memberships.begin_change(request.room_id, is_join=True)
        self._context.pipe(lambda: self._joins.join(request), into=partial(JoinEnded, request), failed=ChangeFailed)

    def _refusal_to(
        self, request: JoinRequest, earlier: Membership | None, current: Membership | None, rates: RateBuckets
    ) -> Refusal | None:
        if not is_room_id(request.room_id):
            return refusals.INVALID_ROOM_ID
        is_one_more = earlier is None and (request.is_additional or current is None)
        limit = self._limits.rooms_per_connection
        if is_one_more and limit and len(self.memberships) >= limit:
            return refusals.room_limit(limit)
        return None if rates.take_room_change(anyio.current_time()) else refusals.TOO_MANY_ROOMS

    async def _move(self, request: JoinRequest, current: Membership) -> Refusal | None:
        """Join a room instead of the current one. A client that is refused stays where it is."""
        refusal = await self._joins.check(request.room_id, request.user_id)
        if refusal is not None:
            return refusal
        await self._leave(current)
        outcome = await self._joins.join(request)
        refusal = self._settle(request, outcome)
        if refusal is not None:  # the client must learn that it is out of its room too
            self._tell(refusal.as_error(request.request_id, removed_from=current.room_id))
        elif isinstance(outcome, LostRoom):
            self._tell(outcome.refusal.as_error(removed_from=current.room_id))
        return None

    def _settle(self, request: JoinRequest, outcome: JoinOutcome) -> Refusal | None:
        """Record the outcome of a join. The refusal that is left to tell, or None."""
        match outcome:
            case Membership():
                self._unwatch(request.room_id)
                is_current = not request.is_additional
                self.memberships.add(outcome, is_current=is_current)
                self._context.watch(outcome.room)
            case LostRoom(refusal=refusal):
                self._forget(request.room_id)
                self._tell(refusal.as_error(request.request_id, removed_from=request.room_id))
            case Refusal():
                return outcome
        return None

    def finish_join(self, message: JoinEnded) -> Sequence[AnyCommand]:
        """The join of an additional room has ended. The commands that have waited for it."""
        change = self.memberships.end_change(message.request.room_id)
        refusal = self._settle(message.request, message.outcome)
        if refusal is not None:
            self._tell(refusal.as_error(message.request.request_id))
        for notice in change.notices:
            membership = self.memberships.concerned_by(notice)
            if membership is not None:
                self._remove(membership, notice.refusal)
        return change.held

    def _find_running(self, room_id: str) -> Membership | None:
        """The membership of a room. If its actor has ended, the client is told first: it may have lost posts."""
        membership = self.memberships.find(room_id)
        if membership is None or not membership.room.is_stopped:
            return membership
        self._remove(membership, refusals.ROOM_CLOSED)
        return None

    # -- leaving -------------------------------------------------------------------------------------------------------

    async def leave(self, command: Leave) -> Refusal | None:
        """Leave the named room, or the current room. Raises `AskTimeout`."""
        membership = self.memberships.named(command.room_id)
        if isinstance(membership, Refusal):
            return membership
        room_id = membership.room_id
        if membership is self.memberships.current:
            await self._leave(membership)
            self._tell(messages.Left(room_id, request_id=command.request_id))
            return None
        self._forget(room_id)
        self.memberships.begin_change(room_id, is_join=False)
        ended = LeaveEnded(room_id, command.request_id)
        leave = partial(self._joins.leave, membership, within=LEAVE_AT_LAST)
        self._context.pipe(leave, into=lambda _: ended, failed=ChangeFailed)
        return None

    def finish_leave(self, message: LeaveEnded) -> Sequence[AnyCommand]:
        """The leave of an additional room has ended. The commands that have waited for it."""
        self._tell(messages.Left(message.room_id, request_id=message.request_id))
        return self.memberships.end_change(message.room_id).held

    async def leave_all(self) -> None:
        """Leave all rooms: the user logs out. Raises `AskTimeout`."""
        self._end_caller_outbox(None)
        for membership in self.memberships.all:
            await self._leave(membership)

    async def _leave(self, membership: Membership) -> None:
        self._forget(membership.room_id)
        await self._joins.leave(membership)

    def _forget(self, room_id: str) -> None:
        self._unwatch(room_id)
        self._end_caller_outbox(room_id)

    def _unwatch(self, room_id: str) -> None:
        membership = self.memberships.remove(room_id)
        if membership is not None:
            self._context.unwatch(membership.room)

    def _end_caller_outbox(self, room_id: str | None) -> None:
        outbox = self._caller_outboxes.pop(room_id, None)
        if outbox is not None:
            outbox.end()

    # -- notices of the rooms ------------------------------------------------------------------------------------------

    def ended(self, room: AnyRef) -> None:
        """A room has ended."""
        membership = self.memberships.find_by_ref(room)
        if membership is not None:
            self._remove(membership, refusals.ROOM_CLOSED)

    def removed(self, notice: MemberRemoved) -> None:
        """A room has removed the session."""
        membership = self.memberships.concerned_by(notice)
        if membership is not None:
            self._remove(membership, notice.refusal)
        else:
            self.memberships.note(notice)

    def not_a_member(self, notice: NotAMember) -> None:
        """A room has refused a post, since the session is not a member."""
        membership = self.memberships.concerned_by(notice)
        if membership is not None:
            self._remove(membership, refusals.ROOM_CLOSED)
        if notice.request_id is not None:
            found = refusals.NOT_JOINED if notice.is_named else self.memberships.named(None)
            refusal = found if isinstance(found, Refusal) else refusals.NOT_IN_ROOM
            self._tell(refusal.as_error(notice.request_id))

    def _remove(self, membership: Membership, refusal: Refusal) -> None:
        self._forget(membership.room_id)
        self._tell(refusal.as_error(removed_from=membership.room_id))

    def _tell(self, message: messages.AnyMessage) -> None:
        self._outbox.offer(Block.of(message))
