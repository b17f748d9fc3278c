"""The base class of services: actors of an extension that execute its commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

import anyio
import msgspec

from chat_actors.chat.caller_outbox import CallerOutbox
from chat_actors.chat.command_method import Call, Caller, Methods, Where, commands_of
from chat_actors.chat.endpoint import Endpoints, HttpResponse, Serve
from chat_actors.chat.outbox import Block
from chat_actors.chat.removed_user import RemovedUser
from chat_actors.chat.room_messages import ROOMS, PostAs
from chat_actors.chat.store import Store
from chat_actors.kernel import (
    Actor,
    ActorStopped,
    ActorType,
    AnyRef,
    AskFailed,
    AskTimeout,
    Restart,
    Supervision,
    Terminated,
    call_hook,
    handles,
)
from chat_actors.protocol import ExtensionMessage, Refusal, bot_id, checked_content, is_room_id, refusals
from chat_actors.storage import Accounts

ROOM_WITHIN = 10.0
"""Seconds that a service waits for a room to store its message."""


class Scope(Enum):
    """How many actors of a service there are, and which key each has.

    Attributes:
        SERVER: One, without a key. It starts with the server.
        USER: One for each user; the key is the user id.
        ROOM: One for each room; the key is the room id.
    """

    SERVER = "one for the server"
    USER = "one for each user"
    ROOM = "one for each room"


class ServiceDependencies(msgspec.Struct, frozen=True):
    """The objects that the server passes to each incarnation of a service."""

    key: str
    settings: Any
    store: Store
    services: Mapping[type[Any], ActorType[Any]]
    """The extension's own services, by class."""
    now: Callable[[], datetime]
    accounts: Accounts
    methods: Methods = {}
    endpoints: Endpoints = {}


class ServiceState:
    """The state of a service that outlives a crash: its subscribers, by session."""

    def __init__(self) -> None:
        self.subscribers: dict[AnyRef, Caller] = {}

    def inherit(self, earlier: ServiceState) -> None:
        """Take over what a service with `Scope.SERVER` keeps when a new actor replaces a failed one."""


class CheckIdle(msgspec.Struct, frozen=True):
    """The timer with which a service checks whether it is idle. Each incarnation has one from its start on."""


class Service(Actor[Any]):
    """Base class of an extension's actors: it executes commands, answers HTTP requests and handles its own messages.

    There is one object for each incarnation, made without arguments; its own attributes are lost in a crash, so put
    what must outlive one into `store`. `key`, `settings` and `store` are available from `on_start` on. A crash restarts
    the service; the caller whose command crashed it receives an error.

    Attributes:
        scope: Set by the class. How many actors there are; the default is `Scope.SERVER`.
        supervision: Set by the class. The policy for a crash; by default, at most 5 restarts within 60 s.
        linger: Set by the class. Seconds without a message after which a service with `Scope.USER` or `Scope.ROOM`
            stops; the next call starts a new one. The default is 60.
        kept_as: Set by the class. The name of its store, if not the name of the class. Set it when you rename a class.
    """

    scope: ClassVar[Scope] = Scope.SERVER
    supervision: ClassVar[Supervision] = Restart(at_most=5, within=60.0, backoff=(0.05, 2.0))
    linger: ClassVar[float] = 60.0
    kept_as: ClassVar[str] = ""

    dependencies: ServiceDependencies
    service_state: ServiceState

    _used_at = 0.0
    _is_checking = False

    @property
    def key(self) -> str:
        """The user id or room id that this actor serves; empty with `Scope.SERVER`."""
        return self.dependencies.key

    @property
    def settings(self) -> Any:
        """The extension's settings, an instance of its struct."""
        return self.dependencies.settings

    @property
    def store(self) -> Store:
        """The persistent store of the service for its key."""
        return self.dependencies.store

    def now(self) -> datetime:
        """The current wall-clock time (aware, UTC). Measure durations with `anyio.current_time()`."""
        return self.dependencies.now()

    async def user_exists(self, user_id: str) -> bool:
        """Whether a user with this id is registered.

        Args:
            user_id: The user's id.

        Raises:
            StorageError: The accounts cannot be read.
        """
        return await self.dependencies.accounts.key_of(user_id) is not None

    @property
    def is_needed(self) -> bool:
        """Override this to return True while the service must not stop as idle. The default is False."""
        return False

    def subscribe(self, caller: Caller) -> None:
        """Subscribe a connection to `tell_subscribers`, until it ends, logs in as another user, or leaves the room.

        It leaves the room only of a service with `Scope.ROOM`.
        Outlives a crash of the service. A service with subscribers does not stop as idle.

        Args:
            caller: The caller of a command; its connection is subscribed.
        """
        self.service_state.subscribers[caller.session] = caller
        self.context.watch(caller.session)

    @property
    def has_subscribers(self) -> bool:
        """Whether any connection is subscribed."""
        outboxes = [caller.outbox for caller in self.service_state.subscribers.values()]
        return not all(isinstance(outbox, CallerOutbox) and outbox.is_ended for outbox in outboxes)

    def tell_subscribers(self, message: ExtensionMessage, *, but: Caller | None = None) -> None:
        """Send a message to all subscribed connections.

        Args:
            message: The message.
            but: A caller whose connection does not receive the message.
        """
        block = Block.of(message)
        for session, caller in list(self.service_state.subscribers.items()):
            if (but is None or session is not but.session) and not caller.outbox.offer(block):
                del self.service_state.subscribers[session]

    def on_terminated(self, ref: AnyRef) -> Awaitable[None] | None:
        """Called when an actor that the service watches has ended. Override this instead of handling `Terminated`.

        Args:
            ref: The actor that has ended.
        """
        return None

    def service(self, service: type[Service], key: str = "") -> AnyRef:
        """Find or start the actor of a service of this extension.

        The actor may stop as idle before your message reaches it. Call this again then, or use `ask_service`.

        Args:
            service: The service's class.
            key: The user id or room id, for a service with `Scope.USER` or `Scope.ROOM`.

        Returns:
            The ref of the actor.

        Raises:
            ActorStopped: The server is stopping.
        """
        return self.context.get_or_spawn(self.dependencies.services[service], key)

    async def ask_service(self, service: type[Service], key: str, request: Any, *, timeout: float = 10.0) -> Any:
        """Send a request to a service of this extension and wait for the answer.

        Two actors that wait for each other's answers time out: use this within `context.pipe` if that can happen.

        Args:
            service: The service's class.
            key: The user id or room id; empty with `Scope.SERVER`.
            request: The request.
            timeout: Seconds to wait.

        Returns:
            The return value of the request's handler.

        Raises:
            AskFailed: The service crashed while handling the request.
            AskTimeout: The answer did not arrive in time.
            ActorStopped: The server is stopping.
        """
        try:
            return await self.service(service, key).ask(request, timeout=timeout)
        except ActorStopped:
            return await self.service(service, key).ask(request, timeout=timeout)

    async def say(self, room_id: str, content: str, *, name: str) -> Refusal | None:
        """Post a chat message in a room as the bot `bot:NAME`, which is not a member. Starts the room if necessary.

        Args:
            room_id: The room.
            content: The text, not empty.
            name: 3 to 32 characters of `a-z A-Z 0-9 _ -`.

        Returns:
            None once the message is stored. Otherwise the refusal: the message is longer than `limits.content_chars`,
            a room kind refused it, it was not stored, or the room did not answer within 10 s.

        Raises:
            ValueError: The room id, the name or the content is invalid.
        """
        if not is_room_id(room_id):
            raise ValueError(f"{room_id!r} is not the name of a room: {refusals.INVALID_ROOM_ID.text}")
        request = PostAs(bot_id(name), checked_content(content))
        try:
            return await self.context.get_or_spawn(ROOMS, room_id).ask(request, timeout=ROOM_WITHIN)
        except (ActorStopped, AskFailed):
            return refusals.ROOM_CLOSED
        except AskTimeout:
            return refusals.BUSY

    @classmethod
    async def on_user_removed(cls, removed: RemovedUser) -> None:
        """Called after an operator has removed a user: erase what is stored about the user.

        Otherwise the next user of the id may inherit it. Called when the server starts, before any service runs, once
        for each key with stored values; with `Scope.SERVER` and for the user's own key also without. It may be called
        again for the same user. By default, a service with `Scope.USER` erases all values under the user's own key.

        Args:
            removed: The user, the key, its store and the settings.
        """
        if cls.scope is Scope.USER and removed.key == removed.user_id:
            await removed.store.clear()

    @classmethod
    def make_state(cls) -> ServiceState:
        """Called by the server once for each actor; all incarnations share the result."""
        return ServiceState()

    # -- handlers ------------------------------------------------------------------------------------------------------

    @handles
    async def _on_actor_ended(self, message: Terminated) -> None:
        if self.service_state.subscribers.pop(message.ref, None) is None:
            await call_hook(self.on_terminated, message.ref)

    @handles
    def _on_check_idle(self, message: CheckIdle) -> None:
        self._is_checking = True
        remaining = self._used_at + self.linger - anyio.current_time()
        is_needed = self.is_needed or bool(self.service_state.subscribers) or self.context.pipes_under_way
        if remaining > 0 or is_needed or not self.context.stop_if_idle():
            self.context.after(remaining if remaining > 0 else self.linger, CheckIdle())

    def on_incarnation(self) -> None:
        """Internal: start the idle check."""
        if self.scope is not Scope.SERVER:
            self._used_at = anyio.current_time()
            self.context.after(self.linger, CheckIdle())

    def on_turn_end(self) -> None:
        """Internal: record that the service has handled messages, other than the idle check's own."""
        if not self._is_checking:
            self._used_at = anyio.current_time()
        self._is_checking = False

    @handles
    async def _on_call(self, message: Call) -> ExtensionMessage | Refusal | None:
        self._used_at = anyio.current_time()
        return await self.dependencies.methods[type(message.command)].execute(self, message)

    @handles
    async def _on_serve(self, message: Serve) -> HttpResponse:
        method = self.dependencies.endpoints[message.request.method, message.request.path]
        answer = await call_hook(method, self, message.request)
        if not isinstance(answer, HttpResponse):
            raise TypeError(f"an endpoint must return an HttpResponse, not {type(answer).__name__}")
        return answer


def methods_of(service: type[Service]) -> Methods:
    """Collect the commands of a service. Raises `BadHandler`."""
    default = Where.IN_ROOM if service.scope is Scope.ROOM else Where.LOGGED_IN
    least = {Scope.SERVER: Where.ANYWHERE, Scope.USER: Where.LOGGED_IN, Scope.ROOM: Where.IN_ROOM}[service.scope]
    return commands_of(service, default, least)
