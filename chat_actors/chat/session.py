"""The session actor: one connection, from its first frame to its end.

Theory of operation. A frame arrives in the connection's turn (`on_delivery`). The session decodes it, and checks the
frame rate and the command against its state. It executes a command that needs no waiting at once: a post goes straight
to the room. Any other command becomes a `Deferred` message to itself; while it is being handled, deliveries are refused
and the connection stops reading the socket. So commands are executed one at a time in the order sent, and a client may
send the next command before the answer to the last.

The state is derived: *connected* without a user id, *authenticated* with one, *in room* with a current room. A command
that names one of the session's rooms needs no current room. Nothing outlives a crash: it closes the connection with
1011, and the rooms, which watch the session, remove the member.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import assert_never

import anyio
import msgspec

from chat_actors.chat import events
from chat_actors.chat.command_method import Caller
from chat_actors.chat.extension_calls import ExtensionCalls
from chat_actors.chat.limits import Limits
from chat_actors.chat.login import Login
from chat_actors.chat.outbox import Block
from chat_actors.chat.registrar import RegistrarMessage
from chat_actors.chat.room_joins import JoinRequest
from chat_actors.chat.room_messages import MemberRemoved, NotAMember, PostToRoom
from chat_actors.chat.room_queries import Query, RoomQueries
from chat_actors.chat.session_messages import Deferred, Frame, Peer, SessionMessage
from chat_actors.chat.session_rooms import ChangeFailed, JoinEnded, LeaveEnded, SessionRooms
from chat_actors.chat.user_rates import RateBuckets, UserRates
from chat_actors.chat.welcome import answer_hello
from chat_actors.kernel import (
    Actor,
    ActorStopped,
    Cause,
    MailboxFull,
    Ref,
    StopReason,
    Terminated,
    Timer,
    handles,
)
from chat_actors.protocol import (
    AnyCommand,
    AnyMessage,
    Authenticate,
    CloseCode,
    ExtensionCommand,
    GetChallenge,
    Hello,
    Join,
    Leave,
    ListMembers,
    Ping,
    Post,
    ProtocolError,
    ReadHistory,
    Refusal,
    Register,
    SessionState,
    SwitchRoom,
    Vocabulary,
    format_timestamp,
    messages,
    refusals,
    retry_after,
)
from chat_actors.storage import Accounts, Journal


class AuthenticationOverdue(msgspec.Struct, frozen=True):
    """The timer with which a session limits the time without authentication."""


class SessionActor(Actor[SessionMessage]):
    """Decodes a client's frames, checks them against the session's state, and executes the commands."""

    mailbox_capacity = 64

    def __init__(
        self,
        peer: Peer,
        *,
        limits: Limits,
        user_rates: UserRates,
        accounts: Accounts,
        registrar: Ref[RegistrarMessage],
        journal: Journal | None,
        queries: RoomQueries,
        vocabulary: Vocabulary,
        extension_calls: ExtensionCalls,
        welcome: messages.Welcome,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`welcome` is the answer to `hello`, without what depends on the client."""
        self._peer = peer
        self._outbox = peer.outbox
        self._limits = limits
        self._journal = journal
        self._queries = queries
        self._vocabulary = vocabulary
        self._extension_calls = extension_calls
        self._welcome = welcome
        self._now = now
        self._login = Login(peer.address, limits, accounts, registrar, random_bytes)
        self._user_rates = user_rates
        self._use_rates(RateBuckets(limits))
        self._overdue: Timer | None = None
        self._user_id: str | None = None

    def _use_rates(self, rates: RateBuckets) -> None:
        self._rates = rates
        self._frames = rates.frames  # read for every frame

    @property
    def state(self) -> SessionState:
        if self._memberships.current is not None:
            return SessionState.IN_ROOM
        if self._user_id is None:
            return SessionState.CONNECTED
        return SessionState.NO_CURRENT_ROOM if self._memberships.has_any else SessionState.AUTHENTICATED

    async def on_start(self) -> None:
        self._rooms = SessionRooms(self.context, self._outbox, self._limits, self._journal)
        self._memberships = self._rooms.memberships
        self.context.events.publish(events.SessionOpened(self.context.self_ref.path, self._peer.address))
        if self._limits.unauthenticated_seconds:
            self._overdue = self.context.after(self._limits.unauthenticated_seconds, AuthenticationOverdue())

    # -- commands ----------------------------------------------------------------------------------------------------

    def on_delivery(self, message: SessionMessage) -> None:
        if not isinstance(message, Frame):
            raise TypeError(f"only frames are delivered to a session, not {type(message).__name__}")
        command = self._read(message.text)
        if command is None or (self._memberships.changes and self._is_held(command)):
            return
        if not self._execute_now(command):
            self.context.self_ref.send_nowait(Deferred(command))

    @handles
    async def frame(self, frame: Frame) -> None:
        command = self._read(frame.text)
        if command is not None:
            await self._execute_next(command)

    async def _execute_next(self, command: AnyCommand) -> None:
        if self._memberships.changes and self._is_held(command):
            return
        if not self._execute_now(command):
            await self._execute(command)

    async def _execute_held(self, commands: Sequence[AnyCommand]) -> None:
        for command in commands:
            refusal = self._state_refusal(command)
            if refusal is None:
                await self._execute_next(command)
            else:
                self._refuse(refusal, command.request_id)

    def _state_refusal(self, command: AnyCommand) -> Refusal | None:
        """The refusal of a command in this state. A command is held first if an earlier one may change the state."""
        if self._memberships.changes and self._memberships.hold_all:
            return None
        return self._vocabulary.refusal(self.state, command)

    def _is_held(self, command: AnyCommand) -> bool:
        """Whether the command waits for the change of a room, or is refused."""
        if isinstance(command, Post) and self._is_too_long(command):
            return False  # refuse it now: it must not take memory
        return self._rooms.hold(command)

    def _is_too_long(self, command: Post) -> bool:
        return bool(self._limits.content_chars and len(command.content) > self._limits.content_chars)

    @handles
    async def deferred(self, message: Deferred) -> None:
        await self._execute(message.command)

    def on_turn_end(self) -> None:
        self._peer.resume()

    def _read(self, text: str) -> AnyCommand | None:
        """Decode and check a frame. The command, or None after the client has been sent an error."""
        request_id = None
        try:
            if self._frames.is_limited and not self._frames.take(anyio.current_time()):
                raise ProtocolError(refusals.TOO_MANY_FRAMES, self._vocabulary.request_id(text))
            command = self._vocabulary.decode(text)
            request_id = command.request_id
            refusal = self._state_refusal(command)
        except ProtocolError as error:
            refusal, request_id = error.refusal, error.request_id
            if error.command is not None and self._user_id is None:
                refusal = self._vocabulary.rules[error.command][self.state] or refusal
        else:
            if refusal is None:
                return command
        self._refuse(refusal, request_id)
        return None

    def _execute_now(self, command: AnyCommand) -> bool:
        """Execute a command that needs no waiting. False, without any effect, if it needs to wait."""
        match command:
            case Post():
                return self._post_now(command)
            case GetChallenge():
                challenge = self._login.issue_challenge()
                self._tell(messages.Challenge(challenge=challenge, request_id=command.request_id))
                return True
            case Ping():
                self._tell(messages.Pong(format_timestamp(self._now()), request_id=command.request_id))
                return True
            case Hello():
                self._tell(answer_hello(command, self._welcome, self._now()))
                return True
            case _:
                return False

    def _post_now(self, command: Post) -> bool:
        membership = self._memberships.named(command.room_id)
        if isinstance(membership, Refusal):
            self._refuse(membership, command.request_id)
        elif self._is_too_long(command):
            self._refuse(refusals.content_too_long(self._limits.content_chars), command.request_id)
        else:
            post = self._as_post(command)
            try:
                if not membership.room.deliver_nowait(post):
                    membership.room.send_nowait(post)
            except MailboxFull:
                return False
            except ActorStopped:
                self._refuse_lost(command)
        return True

    def _as_post(self, command: Post) -> PostToRoom:
        return PostToRoom(
            self.context.self_ref,
            command.content,
            command.client_msg_id,
            command.request_id,
            command.room_id is not None,
        )

    def _refuse_lost(self, command: Post) -> None:
        """The room has ended. Its `Terminated` follows, and tells clients that send no ids."""
        if command.request_id is not None:
            self._refuse(refusals.ROOM_CLOSED, command.request_id)

    async def _execute(self, command: AnyCommand) -> None:
        refusal = await self._dispatch(command)
        if refusal is not None:
            self._refuse(refusal, command.request_id)

    async def _dispatch(self, command: AnyCommand) -> Refusal | None:
        match command:
            case Post():
                return await self._post(command)
            case Register():
                return await self._register(command)
            case Authenticate():
                return await self._authenticate(command)
            case Join():
                return await self._join(command)
            case SwitchRoom():
                request = JoinRequest(command.room_id, self._user_id or "", command.request_id)
                return await self._rooms.join(request, self._rates)
            case Leave():
                return await self._rooms.leave(command)
            case ListMembers() | ReadHistory():
                return await self._query(command)
            case Hello() | GetChallenge() | Ping():
                raise AssertionError(f"{type(command).__name__} needs no wait")
            case ExtensionCommand():
                return await self._call(command)
            case _:
                assert_never(command)

    async def _post(self, command: Post) -> Refusal | None:
        """Wait for a free slot in the room's mailbox. The client's next command waits too."""
        membership = self._memberships.named(command.room_id)
        if isinstance(membership, Refusal):
            return membership
        try:
            await membership.room.send(self._as_post(command))
        except ActorStopped:
            self._refuse_lost(command)
        return None

    async def _register(self, command: Register) -> Refusal | None:
        refusal = await self._login.register(command)
        if refusal is None:
            self._tell(messages.registered(command.user_id, command.request_id))
        return refusal

    async def _authenticate(self, command: Authenticate) -> Refusal | None:
        refusal = await self._login.authenticate(command)
        path = self.context.self_ref.path
        if refusal is not None:
            self.context.events.publish(
                events.AuthenticationFailed(path, command.user_id, self._peer.address, refusal.code)
            )
            return refusal
        if command.user_id != self._user_id:
            await self._rooms.leave_all()  # the rooms have the member under the old user id
            self._user_id = command.user_id
            self._use_rates(self._user_rates.log_in(self.context.self_ref, command.user_id, anyio.current_time()))
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        self._tell(messages.authenticated(command.user_id, command.request_id))
        self.context.events.publish(events.UserAuthenticated(path, command.user_id, self._peer.address))
        return None

    # -- rooms -------------------------------------------------------------------------------------------------------

    async def _join(self, command: Join) -> Refusal | None:
        if command.user_id != self._user_id:
            return refusals.USER_ID_MISMATCH
        room_id, is_additional = command.room_id or command.user_id, command.additional is True
        request = JoinRequest(room_id, command.user_id, command.request_id, command.since, is_additional)
        return await self._rooms.join(request, self._rates)

    async def _query(self, command: ListMembers | ReadHistory) -> Refusal | None:
        query = Query(command, self._rooms, self._user_id or "", self._rates)
        return self._answer(await self._queries.execute(self.context, query))

    async def _call(self, command: ExtensionCommand) -> Refusal | None:
        membership = self._memberships.named_by(command)
        if isinstance(membership, Refusal):
            return membership
        room, room_id = (None, "") if membership is None else (membership.room, membership.room_id)
        outbox = self._rooms.caller_outbox(membership if self._extension_calls.is_about_room(command) else None)
        caller = Caller(self._user_id or "", room_id, outbox, self.context.self_ref)
        return self._answer(await self._extension_calls.execute(self.context, command, caller, room, self._rates))

    def _answer(self, answer: AnyMessage | Refusal | None) -> Refusal | None:
        if isinstance(answer, Refusal):
            return answer
        if answer is not None:
            self._tell(answer)
        return None

    # -- changes of the memberships ------------------------------------------------------------------------------------

    @handles
    async def join_ended(self, message: JoinEnded) -> None:
        await self._execute_held(self._rooms.finish_join(message))

    @handles
    async def leave_ended(self, message: LeaveEnded) -> None:
        await self._execute_held(self._rooms.finish_leave(message))

    @handles
    def change_failed(self, message: ChangeFailed) -> None:
        raise message.error

    @handles
    def room_ended(self, message: Terminated) -> None:
        self._rooms.ended(message.ref)

    @handles
    def not_a_member(self, notice: NotAMember) -> None:
        self._rooms.not_a_member(notice)

    @handles
    def removed_from_room(self, notice: MemberRemoved) -> None:
        self._rooms.removed(notice)

    # -- shutdown ----------------------------------------------------------------------------------------------------

    @handles
    def authentication_overdue(self, message: AuthenticationOverdue) -> None:
        if self._user_id is None:
            limit = self._limits.unauthenticated_seconds
            self._outbox.close(CloseCode.NOT_AUTHENTICATED, f"not authenticated within {limit:g} s")
            self.context.stop()

    async def on_stop(self, reason: StopReason) -> None:
        match reason.cause:
            case Cause.FAILED:
                self._outbox.close(CloseCode.INTERNAL_ERROR, "the server failed in this session; reconnect")
            case Cause.STOPPED | Cause.FINISHED | Cause.CANCELLED:
                self._outbox.close(CloseCode.SERVICE_RESTART, retry_after(0))
        closing = self._outbox.closing
        path = self.context.self_ref.path
        if closing is not None and closing.code is CloseCode.TOO_SLOW:
            self.context.events.publish(events.ClientEvicted(path, self._user_id, self._limits.backlog_bytes))
        self.context.events.publish(events.SessionClosed(path, self._peer.address, self._user_id))

    def _tell(self, message: AnyMessage) -> None:
        self._outbox.offer(Block.of(message))

    def _refuse(self, refusal: Refusal, request_id: str | None = None) -> None:
        self._tell(refusal.as_error(request_id))
