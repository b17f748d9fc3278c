"""A service: an actor of an extension, to which sessions pass on the commands that it has added."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar

import msgspec

from chat_actors.chat.outbox import Block, Outbox
from chat_actors.kernel import Actor, BadHandler, Request, Restart, Supervision, handles
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, Refusal, State, refusals

Method = typing.TypeVar("Method", bound=Callable[..., Any])


class Refused(Exception):
    """Raised by a command's method: the client gets an error with this `code`, a stable word, and this text."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class Scope(Enum):
    """How many actors of a service there are."""

    SERVER = "one for the server"
    USER = "one for each user"
    ROOM = "one for each room"


class Where(Enum):
    """In which states a session may send a command."""

    ANYWHERE = "also before the login"
    LOGGED_IN = "after the login"
    IN_ROOM = "in a room"

    @property
    def rules(self) -> Mapping[State, Refusal | None]:
        """State → why not, or None: allowed."""
        return {
            State.CONNECTED: None if self is Where.ANYWHERE else refusals.UNAUTHENTICATED,
            State.AUTHENTICATED: refusals.NOT_IN_ROOM if self is Where.IN_ROOM else None,
            State.IN_ROOM: None,
        }


class Rate(msgspec.Struct, frozen=True):
    """How often one connection may send a command: so many a second in the long run, and so many at once."""

    per_second: float
    burst: int


class Caller(msgspec.Struct, frozen=True):
    """The connection that a command came from. `user_id` is empty before the login, `room_id` outside of rooms."""

    user_id: str
    room_id: str
    outbox: Outbox

    def tell(self, message: ExtensionMessage) -> bool:
        """Send it something besides the answer, at any time; False if it has gone. Never blocks."""
        return self.outbox.offer(Block.of(message))


class Call(Request[ExtensionMessage | Refusal | None], msgspec.Struct, frozen=True):
    """Carry out a client's command."""

    caller: Caller
    command: ExtensionCommand


class CommandMethod(msgspec.Struct, frozen=True):
    """A service's method for a command, and who may send that."""

    command: type[ExtensionCommand]
    call: Callable[[Any, Caller, Any], Any]
    where: Where
    rate: Rate | None


def command(*, where: Where | None = None, rate: Rate | None = None) -> Callable[[Method], Method]:
    """Mark a method of a `Service` as what carries out the command that its second argument is annotated with.

    `def roll(self, caller: Caller, roll: Roll) -> Rolled`: plain or `async`; what it returns is sent to the caller with
    the command's own `id`, None is no answer; `Refused` is an error. Besides `rate`, the server's limit on frames
    holds. Calls of one service run one after the other, and nothing more is read from a caller who waits: what is slow
    belongs into `context.pipe`. `where`: after the login if nothing is said, for services of rooms in a room.
    """

    def mark(method: Method) -> Method:
        method.__dict__["carries_out"] = (where, rate)  # read back by commands_of()
        return method

    return mark


class LookIfIdle(msgspec.Struct, frozen=True):
    """A service's timer to itself."""


class Service(Actor[Any]):
    """Base of the actors that an extension adds. A crash restarts it, and is an error to the caller whose call it was.

    Made without arguments; `key` and `settings` are there from `on_start` on.
    """

    scope: ClassVar[Scope] = Scope.SERVER
    supervision: ClassVar[Supervision] = Restart(at_most=5, within=60.0, backoff=(0.05, 2.0))

    linger: ClassVar[float] = 60.0
    """Seconds without a call after which a service for a user or a room ends; with the next call there is a new one."""

    key: str = ""
    """The user or the room that it is for."""

    settings: Any = None
    """The extension's own, as its struct has them."""

    _methods: Mapping[type[ExtensionCommand], CommandMethod] = {}
    _has_been_called = False
    _is_looking = False

    def begin(self, key: str, settings: Any, methods: Mapping[type[ExtensionCommand], CommandMethod]) -> None:
        """For the server: what it is for, and how."""
        self.key, self.settings, self._methods = key, settings, methods

    @handles
    def look_if_idle(self, message: LookIfIdle) -> None:
        self._is_looking = False
        if self._has_been_called or self.context.pipes_under_way or not self.context.stop_if_idle():
            self._look_later()

    def _look_later(self) -> None:
        self._has_been_called = False
        if self.scope is not Scope.SERVER and not self._is_looking:
            self._is_looking = True
            self.context.after(self.linger, LookIfIdle())

    @handles
    async def call(self, message: Call) -> ExtensionMessage | Refusal | None:
        self._look_later()
        self._has_been_called = True
        method = self._methods[type(message.command)].call
        try:
            answer = method(self, message.caller, message.command)
            if inspect.isawaitable(answer):
                answer = await answer
        except Refused as no:
            return Refusal(no.code, no.text)
        if answer is None:
            return None
        if not isinstance(answer, ExtensionMessage):
            raise TypeError(f"{method.__qualname__} must return a Message or None, not {type(answer).__name__}")
        return msgspec.structs.replace(answer, request_id=message.command.request_id)


def _where(scope: Scope, wanted: Where | None, label: str) -> Where:
    least = {Scope.SERVER: Where.ANYWHERE, Scope.USER: Where.LOGGED_IN, Scope.ROOM: Where.IN_ROOM}[scope]
    where = wanted or (Where.IN_ROOM if scope is Scope.ROOM else Where.LOGGED_IN)
    if list(Where).index(where) < list(Where).index(least):
        raise BadHandler(label, f"a service of which there is {scope.value} has no commands {where.value}")
    return where


def commands_of(service: type[Service]) -> Mapping[type[ExtensionCommand], CommandMethod]:
    """The commands of a service's class. Raises `BadHandler` for a method of no use, or a second one for a command."""
    found: dict[type[ExtensionCommand], CommandMethod] = {}
    for name, method in inspect.getmembers(service, inspect.isfunction):
        marked = getattr(method, "carries_out", None)
        if marked is None:
            continue
        label = f"{service.__qualname__}.{name}"
        parameters = list(inspect.signature(method).parameters)
        if len(parameters) != 3:
            raise BadHandler(label, "it must take the caller and the command: def method(self, caller, command)")
        kind = typing.get_type_hints(method).get(parameters[2])
        if not (isinstance(kind, type) and issubclass(kind, ExtensionCommand)):
            raise BadHandler(label, f"annotate {parameters[2]!r} with a subclass of Command")
        if kind in found:
            raise BadHandler(label, f"{found[kind].call.__qualname__} is already there for {kind.__name__}")
        where, rate = marked
        found[kind] = CommandMethod(kind, method, _where(service.scope, where, label), rate)
    return found
