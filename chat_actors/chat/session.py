"""The session actor: one connection, from its first frame to its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

import anyio
import msgspec

from chat_actors.chat import events
from chat_actors.chat.command_method import Caller, Rate
from chat_actors.chat.extension import Extensions
from chat_actors.chat.limits import Limits
from chat_actors.chat.login import Login
from chat_actors.chat.membership import Membership
from chat_actors.chat.outbox import Block
from chat_actors.chat.registrar import RegistrarMessage
from chat_actors.chat.room_messages import NotAMember, PostToRoom, RemovedFromRoom
from chat_actors.chat.room_queries import answer_query
from chat_actors.chat.services import execute
from chat_actors.chat.session_messages import Deferred, Frame, Peer, SessionMessage
from chat_actors.identity import TokenBucket
from chat_actors.kernel import (
    Actor,
    ActorStopped,
    AnyRef,
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
    format_timestamp,
    is_room_id,
    messages,
    refusals,
    retry_after,
)
from chat_actors.storage import Accounts, Journal


class AuthenticationOverdue(msgspec.Struct, frozen=True):
    """A session's timer to itself."""


class SessionActor(Actor[SessionMessage]):
    """Decodes what the client sends, checks it against its state, and answers or passes it on.

    What can be done at once is done in the turn in which the frame comes off the socket (`on_delivery`): decode, state
    table, rate limit, into the room's mailbox. What has to wait (a login, a change of rooms, a room that is full) waits
    in this actor, and meanwhile nothing more is read from the socket; so frames are handled one at a time in the order
    sent, and a client may send the next command without waiting for the answer to the last.

    A crash ends this session (close code 1011) and nobody else's.
    """

    mailbox_capacity = 32

    def __init__(
        self,
        peer: Peer,
        *,
        limits: Limits,
        accounts: Accounts,
        registrar: Ref[RegistrarMessage],
        journal: Journal | None,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        extensions: Extensions,
    ) -> None:
        self._peer = peer
        self._vocabulary = extensions.vocabulary
        self._routes = extensions.routes
        self._room_kinds = extensions.room_kinds
        self._rates: dict[type[ExtensionCommand], TokenBucket] | None = None  # made by the first who needs them
        self._outbox = peer.outbox
        self._limits = limits
        self._journal = journal
        self._now = now
        self._login = Login(peer.address, limits, accounts, registrar, random_bytes)
        self._frames = TokenBucket(limits.messages_per_second, limits.message_burst)
        self._moves = TokenBucket(limits.rooms_per_minute / 60, limits.rooms_per_minute)
        self._overdue: Timer | None = None
        self._user_id: str | None = None

    @property
    def state(self) -> SessionState:
        if self._user_id is None:
            return SessionState.CONNECTED
        return SessionState.AUTHENTICATED if self._membership.room is None else SessionState.IN_ROOM

    async def on_start(self) -> None:
        self._membership = Membership(self.context, self._outbox, self._limits.backlog_bytes, self._journal)
        self.context.events.publish(events.SessionOpened(self.context.self_ref.path, self._peer.address))
        if self._limits.unauthenticated_seconds:
            self._overdue = self.context.after(self._limits.unauthenticated_seconds, AuthenticationOverdue())

    # -- what the client sends ---------------------------------------------------------------------------------------

    def on_delivery(self, message: SessionMessage) -> None:
        if not isinstance(message, Frame):
            raise TypeError(f"only frames are delivered to a session, not {type(message).__name__}")
        command = self._read(message.text)
        if command is not None and not self._execute_now(command):
            self.context.self_ref.send_nowait(Deferred(command))

    @handles
    async def frame(self, frame: Frame) -> None:
        command = self._read(frame.text)
        if command is not None and not self._execute_now(command):
            await self._execute(command)

    @handles
    async def deferred(self, message: Deferred) -> None:
        await self._execute(message.command)

    def on_turn_end(self) -> None:
        self._peer.resume()

    def _read(self, text: str) -> AnyCommand | None:
        """The command in a frame, if it may be obeyed. Else the client has been told why not."""
        request_id = None
        try:
            if self._frames.is_limited and not self._frames.take(anyio.current_time()):
                raise ProtocolError(refusals.TOO_MANY_FRAMES)
            command = self._vocabulary.decode(text)
            request_id = command.request_id
            refusal = self._vocabulary.refusal(self.state, type(command))
        except ProtocolError as error:
            refusal, request_id = error.refusal, error.request_id
        else:
            if refusal is None:
                return command
        self._refuse(refusal, request_id)
        return None

    def _execute_now(self, command: AnyCommand) -> bool:
        """Carry out a command that needs no wait. False, and nothing has happened, if it does need one."""
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
            case _:
                return False

    def _post_now(self, command: Post) -> bool:
        if self._limits.content_chars and len(command.content) > self._limits.content_chars:
            self._refuse(refusals.content_too_long(self._limits.content_chars), command.request_id)
        elif self._membership.room is None:
            self._refuse(refusals.NOT_IN_ROOM, command.request_id)
        else:
            room, post = self._membership.room, self._as_post(command)
            try:
                if not room.deliver_nowait(post):
                    room.send_nowait(post)
            except MailboxFull:
                return False
            except ActorStopped:
                pass  # its Terminated is on the way, and tells the client
        return True

    def _as_post(self, command: Post) -> PostToRoom:
        return PostToRoom(self.context.self_ref, command.content, command.client_msg_id, command.request_id)

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
                return await self._move_to(command.room_id, command.request_id)
            case Leave():
                return await self._leave(command)
            case ListMembers() | ReadHistory():
                return await self._query(command)
            case GetChallenge() | Ping():
                raise AssertionError(f"{type(command).__name__} needs no wait")
            case ExtensionCommand():
                return await self._call(command)
            case _:
                assert_never(command)

    async def _post(self, command: Post) -> Refusal | None:
        """Wait for a place in the room's mailbox, and with us waits the client."""
        if self._membership.room is None:
            return refusals.NOT_IN_ROOM
        try:
            await self._membership.room.send(self._as_post(command))
        except ActorStopped:
            pass  # its Terminated is on the way, and tells the client
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
            await self._membership.leave()  # a room knows its members under the name that they came in with
            self._user_id = command.user_id
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
        return await self._move_to(command.room_id or command.user_id, command.request_id, command.since)

    async def _move_to(self, room_id: str, request_id: str | None, since: int | None = None) -> Refusal | None:
        if not is_room_id(room_id):
            return refusals.INVALID_ROOM_ID
        if not self._moves.take(anyio.current_time()):
            return refusals.TOO_MANY_ROOMS
        if self._user_id is None:
            raise AssertionError("the state table lets nobody in who has not authenticated")
        if room_id != self._membership.room_id:
            if self._room_kinds.has_kind_for(room_id):
                refusal = await self._membership.check_join(room_id, self._user_id)
                if refusal is not None:
                    return refusal
            await self._membership.leave()
        if since is None:
            return await self._membership.join(room_id, self._user_id, request_id)
        return await self._membership.rejoin(room_id, self._user_id, request_id, since)

    async def _leave(self, command: Leave) -> Refusal | None:
        room_id = self._membership.room_id
        await self._membership.leave()
        self._tell(messages.Left(room_id, request_id=command.request_id))
        return None

    async def _query(self, command: ListMembers | ReadHistory) -> Refusal | None:
        if command.room_id is None and self._membership.room is None:
            return refusals.NOT_IN_ROOM
        room_id = self._membership.room_id if command.room_id is None else command.room_id
        if not is_room_id(room_id):
            return refusals.INVALID_ROOM_ID
        if room_id != self._membership.room_id and self._room_kinds.has_kind_for(room_id):
            refusal = await self._membership.check_join(room_id, self._user_id or "")
            if refusal is not None:
                return refusal
        found = await answer_query(self.context, self._journal, room_id, command)
        if isinstance(found, Refusal):
            return found
        self._tell(found)
        return None

    # -- extensions --------------------------------------------------------------------------------------------------

    async def _call(self, command: ExtensionCommand) -> Refusal | None:
        route = self._routes[type(command)]
        if route.rate is not None and not self._rate(type(command), route.rate).take(anyio.current_time()):
            return refusals.TOO_MANY_FRAMES
        room, room_id = self._membership.room, self._membership.room_id
        if route.actor_type is None and not self._room_kinds.has_kind_for(room_id):
            return refusals.not_in_this_room(str(type(command).__struct_config__.tag))
        caller = Caller(self._user_id or "", room_id, self._outbox, self.context.self_ref)
        answer = await execute(self.context, route, room, caller, command)
        if isinstance(answer, Refusal):
            return answer
        if answer is not None:
            self._tell(answer)
        return None

    def _rate(self, command: type[ExtensionCommand], rate: Rate) -> TokenBucket:
        if self._rates is None:
            self._rates = {}
        if command not in self._rates:
            self._rates[command] = TokenBucket(rate.per_second, rate.burst)
        return self._rates[command]

    @handles
    def room_ended(self, message: Terminated) -> None:
        if message.ref is self._membership.room:
            room_id = self._membership.room_id
            self._membership.forget()
            self._tell(refusals.ROOM_CLOSED.as_error(out_of=room_id))

    @handles
    async def not_a_member(self, message: NotAMember) -> None:
        await self._leave_refused(message.room, refusals.ROOM_CLOSED)

    @handles
    async def removed_from_room(self, message: RemovedFromRoom) -> None:
        await self._leave_refused(message.room, message.refusal)

    async def _leave_refused(self, room: AnyRef, refusal: Refusal) -> None:
        if room is self._membership.room:
            room_id = self._membership.room_id
            await self._membership.leave()  # and not just forget: a later join may have gone through meanwhile
            self._tell(refusal.as_error(out_of=room_id))

    # -- the end -----------------------------------------------------------------------------------------------------

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
