"""A service: an actor of an extension, to which sessions pass on the commands that it has added."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

import msgspec

from chat_actors.chat.command_method import Call, Caller, Methods, Where, commands_of
from chat_actors.chat.endpoint import Endpoints, HttpResponse, Serve
from chat_actors.chat.outbox import Block
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
    handles,
)
from chat_actors.protocol import ExtensionMessage, Refusal, bot_id, checked_content, is_room_id, refusals
from chat_actors.storage import Accounts

ROOM_WITHIN = 10.0
"""Seconds that a service waits for a room to store what it says."""


class Scope(Enum):
    """How many actors of a service there are."""

    SERVER = "one for the server"
    USER = "one for each user"
    ROOM = "one for each room"


class ServiceDependencies(msgspec.Struct, frozen=True):
    """What an actor of an extension is given by the server."""

    key: str
    settings: Any
    store: Store
    services: Mapping[type[Any], ActorType[Any]]
    """Where the extension's own services are found."""
    now: Callable[[], datetime]
    accounts: Accounts
    methods: Methods = {}
    endpoints: Endpoints = {}


class ServiceState:
    """What outlives a crash of a service: who has subscribed."""

    def __init__(self) -> None:
        self.subscribers: dict[AnyRef, Caller] = {}


class CheckIdle(msgspec.Struct, frozen=True):
    """A service's timer to itself."""


class Service(Actor[Any]):
    """Base of the actors that an extension adds. A crash restarts it, and is an error to the caller whose call it was.

    Made without arguments, one object for each life; `key`, `settings` and `store` are there from `on_start` on. What
    is to outlive a crash belongs into the store.
    """

    scope: ClassVar[Scope] = Scope.SERVER
    supervision: ClassVar[Supervision] = Restart(at_most=5, within=60.0, backoff=(0.05, 2.0))

    linger: ClassVar[float] = 60.0
    """Seconds without a call after which a service for a user or a room ends; with the next call there is a new one."""

    kept_as: ClassVar[str] = ""
    """The name of its store, if not that of its class: so that the class can be renamed."""

    dependencies: ServiceDependencies
    service_state: ServiceState

    _has_been_called = False
    _is_check_scheduled = False

    @property
    def key(self) -> str:
        """The user or the room that it is for."""
        return self.dependencies.key

    @property
    def settings(self) -> Any:
        """The extension's own, as its struct has them."""
        return self.dependencies.settings

    @property
    def store(self) -> Store:
        """What it keeps, for its key."""
        return self.dependencies.store

    def now(self) -> datetime:
        """The wall clock: aware, in UTC. (For spans of time: `anyio.current_time()`.)"""
        return self.dependencies.now()

    async def user_exists(self, user_id: str) -> bool:
        """Whether somebody has registered under this id. Raises `StorageError`."""
        return await self.dependencies.accounts.key_of(user_id) is not None

    @property
    def is_needed(self) -> bool:
        """Override to say True while it must not end, though nobody calls it: somebody may be waiting to hear of it."""
        return False

    def subscribe(self, caller: Caller) -> None:
        """From now on this connection hears `tell_subscribers`, until it ends. Outlives a crash, and keeps the service
        from ending as idle."""
        self.service_state.subscribers[caller.session] = caller
        self.context.watch(caller.session)

    def tell_subscribers(self, message: ExtensionMessage, *, but: Caller | None = None) -> None:
        """To the connections that have subscribed, but for one."""
        block = Block.of(message)
        for session, caller in self.service_state.subscribers.items():
            if but is None or session is not but.session:
                caller.outbox.offer(block)

    def on_terminated(self, ref: AnyRef) -> None:
        """An actor that it watches has ended. (Instead of a handler of `Terminated`, which it has already.)"""

    def service(self, service: type[Service], key: str = "") -> AnyRef:
        """The actor of one of this extension's services, for a user or a room if there is one for each.

        It may have ended, being idle, before a message reaches it: `ActorStopped` then, so ask for it again. Or use
        `ask_service`, which does. Raises `ActorStopped` if the server is stopping.
        """
        return self.context.get_or_spawn(self.dependencies.services[service], key)

    async def ask_service(self, service: type[Service], key: str, request: Any, *, timeout: float = 10.0) -> Any:
        """Ask one of this extension's services, which answers with what its handler returns. Never ask in a circle.

        Raises `AskFailed`, `AskTimeout`, or `ActorStopped` if the server is stopping.
        """
        try:
            return await self.service(service, key).ask(request, timeout=timeout)
        except ActorStopped:
            return await self.service(service, key).ask(request, timeout=timeout)

    async def say(self, room_id: str, content: str, *, name: str) -> Refusal | None:
        """Say something in a room without being in it, as the bot of this name. None: everybody there hears it.

        The room is opened if need be, and its kinds may refuse. Raises `ValueError` for what is no name of a bot, of a
        room, or nothing to say.
        """
        if not is_room_id(room_id):
            raise ValueError(f"{room_id!r} is no name of a room: {refusals.INVALID_ROOM_ID.text}")
        request = PostAs(bot_id(name), checked_content(content))
        try:
            return await self.context.get_or_spawn(ROOMS, room_id).ask(request, timeout=ROOM_WITHIN)
        except (ActorStopped, AskFailed):
            return refusals.ROOM_CLOSED
        except AskTimeout:
            return refusals.BUSY

    @classmethod
    def make_state(cls) -> ServiceState:
        """For the server: once for each actor, for all its lives."""
        return ServiceState()

    # -- by the server -------------------------------------------------------------------------------------------------

    @handles
    def _on_actor_ended(self, message: Terminated) -> None:
        if self.service_state.subscribers.pop(message.ref, None) is None:
            self.on_terminated(message.ref)

    @handles
    def _on_check_idle(self, message: CheckIdle) -> None:
        self._is_check_scheduled = False
        is_wanted = self.is_needed or bool(self.service_state.subscribers)
        is_busy = self._has_been_called or is_wanted or self.context.pipes_under_way
        if is_busy or not self.context.stop_if_idle():
            self._schedule_idle_check()

    def _schedule_idle_check(self) -> None:
        self._has_been_called = False
        if self.scope is not Scope.SERVER and not self._is_check_scheduled:
            self._is_check_scheduled = True
            self.context.after(self.linger, CheckIdle())

    @handles
    async def _on_call(self, message: Call) -> ExtensionMessage | Refusal | None:
        self._schedule_idle_check()
        self._has_been_called = True
        return await self.dependencies.methods[type(message.command)].execute(self, message)

    @handles
    async def _on_serve(self, message: Serve) -> HttpResponse:
        answer = self.dependencies.endpoints[message.request.method, message.request.path](self, message.request)
        if inspect.isawaitable(answer):
            answer = await answer
        if not isinstance(answer, HttpResponse):
            raise TypeError(f"an endpoint must return an HttpResponse, not {type(answer).__name__}")
        return answer


def methods_of(service: type[Service]) -> Methods:
    """The commands of a service's class. Raises `BadHandler`."""
    default = Where.IN_ROOM if service.scope is Scope.ROOM else Where.LOGGED_IN
    least = {Scope.SERVER: Where.ANYWHERE, Scope.USER: Where.LOGGED_IN, Scope.ROOM: Where.IN_ROOM}[service.scope]
    return commands_of(service, default, least)
