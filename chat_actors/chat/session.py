"""The session actor: one connection, from its first frame to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, assert_never

import anyio
import msgspec

from chat_actors.chat import events, registrar
from chat_actors.chat.limits import Limits
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.room import ROOMS, Enter, Leave, NotInRoom, RoomMessage
from chat_actors.chat.room import Post as PostToRoom
from chat_actors.identity import Challenge, SignatureUndecodable, TokenBucket, issue, verify
from chat_actors.kernel import Actor, ActorStopped, AskFailed, AskTimeout, Cause, Ref, StopReason, Terminated, handles
from chat_actors.protocol import (
    Authenticate,
    CloseCode,
    Command,
    GetChallenge,
    Join,
    Post,
    ProtocolError,
    Refusal,
    Register,
    ServerMessage,
    State,
    SwitchRoom,
    decode_command,
    is_room_id,
    messages,
    refusal,
    refusals,
)

ASK_TIMEOUT = 10.0
"""Seconds that a session waits for the registrar before it says that the server is busy, or for a room to let it go.

A room that does not answer in time crashes the session: nobody could say any more which room it is in.
"""


class Frame(msgspec.Struct, frozen=True):
    """One text frame from the client."""

    text: str


class AuthenticationOverdue(msgspec.Struct, frozen=True):
    """A session's timer to itself."""


SessionMessage: TypeAlias = Frame | NotInRoom
SessionRef: TypeAlias = Ref[SessionMessage]


class Peer(msgspec.Struct, frozen=True):
    """The client at the other end: where it comes from, and the way back to it."""

    address: str
    outbox: Outbox


class SessionActor(Actor[SessionMessage]):
    """Decodes what the client sends, checks it against its state, and answers or passes it on.

    Frames are handled one at a time in the order sent, so a client may send the next command without waiting for the
    answer to the last. When a room is full the session waits for it; its mailbox fills, and the connection stops
    reading the socket. A crash ends this session (close code 1011) and nobody else's.
    """

    mailbox_capacity = 32

    def __init__(
        self,
        peer: Peer,
        limits: Limits,
        accounts: Ref[registrar.RegistrarMessage],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._peer = peer
        self._outbox = peer.outbox
        self._limits = limits
        self._accounts = accounts
        self._random_bytes = random_bytes
        self._frames = TokenBucket(limits.messages_per_second, limits.message_burst)
        self._moves = TokenBucket(limits.rooms_per_minute / 60, limits.rooms_per_minute)
        self._challenge: Challenge | None = None
        self._user_id: str | None = None
        self._room: Ref[RoomMessage] | None = None
        self._room_id = ""

    @property
    def state(self) -> State:
        if self._user_id is None:
            return State.CONNECTED
        return State.AUTHENTICATED if self._room is None else State.IN_ROOM

    async def on_start(self) -> None:
        self.context.events.publish(events.SessionOpened(self.context.self_ref.path, self._peer.address))
        if self._limits.unauthenticated_seconds:
            self.context.after(self._limits.unauthenticated_seconds, AuthenticationOverdue())

    # -- what the client sends ---------------------------------------------------------------------------------------

    @handles
    async def frame(self, frame: Frame) -> None:
        if not self._frames.take(anyio.current_time()):
            self._refuse(refusals.TOO_MANY_FRAMES)
            return
        try:
            command = decode_command(frame.text)
        except ProtocolError as error:
            self._refuse(error.refusal)
            return
        no = refusal(self.state, type(command)) or await self._obey(command)
        if no is not None:
            self._refuse(no)

    async def _obey(self, command: Command) -> Refusal | None:
        match command:
            case Post():
                return await self._post(command)
            case GetChallenge():
                return self._issue_challenge()
            case Register():
                return await self._register(command)
            case Authenticate():
                return await self._authenticate(command)
            case Join():
                return await self._join(command)
            case SwitchRoom():
                return await self._move_to(command.room_id)
            case _:
                assert_never(command)

    def _issue_challenge(self) -> Refusal | None:
        self._challenge = issue(self._random_bytes, anyio.current_time())
        self._tell(messages.Challenge(challenge=self._challenge.text))
        return None

    async def _register(self, command: Register) -> Refusal | None:
        request = registrar.Register(command.user_id, command.public_key, self._peer.address)
        try:
            no = await self._accounts.ask(request, timeout=ASK_TIMEOUT)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE
        if no is None:
            self._tell(messages.registered(command.user_id))
        return no

    async def _authenticate(self, command: Authenticate) -> Refusal | None:
        # Taken out before anything can fail: whatever comes of this try, the challenge is used up.
        challenge, self._challenge = self._challenge, None
        no = await self._check(command, challenge)
        who = self.context.self_ref.path
        if no is not None:
            self.context.events.publish(events.AuthenticationFailed(who, command.user_id, self._peer.address, no.code))
            return no
        if command.user_id != self._user_id:
            await self._leave()  # a room knows its members under the name that they came in with
            self._user_id = command.user_id
        self._tell(messages.authenticated(command.user_id))
        self.context.events.publish(events.UserAuthenticated(who, command.user_id, self._peer.address))
        return None

    async def _check(self, command: Authenticate, challenge: Challenge | None) -> Refusal | None:
        try:
            key = await self._accounts.ask(registrar.FindKey(command.user_id), timeout=ASK_TIMEOUT)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE
        if isinstance(key, Refusal):
            return key
        if key is None:
            return refusals.USER_NOT_REGISTERED
        if challenge is None:
            return refusals.NO_CHALLENGE
        if challenge.is_expired(anyio.current_time(), self._limits.challenge_seconds):
            return refusals.CHALLENGE_EXPIRED
        try:
            return None if verify(key, challenge, command.signature) else refusals.INVALID_SIGNATURE
        except SignatureUndecodable:
            return refusals.AUTHENTICATION_FAILED

    async def _post(self, command: Post) -> Refusal | None:
        if self._limits.content_chars and len(command.content) > self._limits.content_chars:
            return refusals.content_too_long(self._limits.content_chars)
        if self._room is None:
            return refusals.NOT_IN_ROOM
        try:
            await self._room.send(PostToRoom(self.context.self_ref, command.content))
        except ActorStopped:
            pass  # its Terminated is on the way, and tells the client
        return None

    # -- rooms -------------------------------------------------------------------------------------------------------

    async def _join(self, command: Join) -> Refusal | None:
        if command.user_id != self._user_id:
            return refusals.USER_ID_MISMATCH
        return await self._move_to(command.room_id or command.user_id)

    async def _move_to(self, room_id: str) -> Refusal | None:
        if not is_room_id(room_id):
            return refusals.INVALID_ROOM_ID
        if not self._moves.take(anyio.current_time()):
            return refusals.TOO_MANY_ROOMS
        if room_id != self._room_id:
            await self._leave()
        return await self._enter(room_id)

    async def _enter(self, room_id: str) -> Refusal | None:
        if self._user_id is None:
            raise AssertionError("the state table lets nobody in who has not authenticated")
        member = Member(self.context.self_ref, self._user_id, self._outbox)
        while True:
            try:
                room = self.context.get_or_spawn(ROOMS, room_id)
            except ActorStopped:
                return refusals.INTERNAL_FAILURE  # the server is stopping
            try:
                await room.send(Enter(member))
            except ActorStopped:
                continue  # it went away, being empty, just before: the next one is new
            if room is not self._room:
                self._forget_room()  # one of the same id, which failed for good while this join was on its way
            self._room, self._room_id = room, room_id
            self.context.watch(room)
            return None

    async def _leave(self) -> None:
        room = self._forget_room()
        if room is not None:
            try:
                # An answer and not just a message: after this nothing of the old room can reach the client, so what
                # it sees after `joined` is of the new room.
                await room.ask(Leave(self.context.self_ref), timeout=ASK_TIMEOUT)
            except (ActorStopped, AskFailed):
                pass  # a room that is gone has no members

    def _forget_room(self) -> Ref[RoomMessage] | None:
        room, self._room, self._room_id = self._room, None, ""
        if room is not None:
            self.context.unwatch(room)
        return room

    @handles
    def room_ended(self, message: Terminated) -> None:
        if message.ref is self._room:
            self._forget_room()
            self._refuse(refusals.ROOM_CLOSED)

    @handles
    async def not_in_room(self, message: NotInRoom) -> None:
        if message.room is self._room:
            await self._leave()  # and not just forget: a later join may have gone through meanwhile
            self._refuse(refusals.ROOM_CLOSED)

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
            case Cause.ASKED | Cause.FINISHED | Cause.KILLED:
                self._outbox.close(CloseCode.SERVICE_RESTART, "the server is stopping; reconnect")
        closing = self._outbox.closing
        who = self.context.self_ref.path
        if closing is not None and closing.code is CloseCode.TOO_SLOW:
            self.context.events.publish(events.ClientEvicted(who, self._user_id, self._limits.backlog_bytes))
        self.context.events.publish(events.SessionClosed(who, self._peer.address, self._user_id))

    def _tell(self, message: ServerMessage) -> None:
        self._outbox.offer(Block.of(message))

    def _refuse(self, no: Refusal) -> None:
        self._tell(no.as_error())
