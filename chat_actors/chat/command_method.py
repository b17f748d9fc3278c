"""Commands of extensions: the methods that carry them out, and what these are given."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import msgspec

from chat_actors.chat.outbox import Block, Outbox
from chat_actors.kernel import AnyRef, BadHandler, Request
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, Refusal, SessionState, encode, refusals

Method = typing.TypeVar("Method", bound=Callable[..., Any])


class Refused(Exception):
    """Raised by a command's method: the client gets an error with this `code`, a stable word, and this text."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    @property
    def refusal(self) -> Refusal:
        return Refusal(self.code, self.text)


class Where(Enum):
    """In which states a session may send a command."""

    ANYWHERE = "also before the login"
    LOGGED_IN = "after the login"
    IN_ROOM = "in a room"

    @property
    def rules(self) -> Mapping[SessionState, Refusal | None]:
        """State → why not, or None: allowed."""
        return {
            SessionState.CONNECTED: None if self is Where.ANYWHERE else refusals.UNAUTHENTICATED,
            SessionState.AUTHENTICATED: refusals.NOT_IN_ROOM if self is Where.IN_ROOM else None,
            SessionState.IN_ROOM: None,
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
    session: AnyRef
    """What to watch to know when the connection ends."""

    def tell(self, message: ExtensionMessage) -> bool:
        """Send it something besides the answer, at any time; False if it has gone. Never blocks."""
        return self.outbox.offer(Block.of(message))

    def refuse(self, code: str, text: str, request_id: str | None) -> bool:
        """Send it an error, for a command whose method has returned None: its `request_id` goes with it."""
        return self.outbox.offer(Block.of(Refusal(code, text).as_error(request_id)))


class Call(Request[ExtensionMessage | Refusal | None], msgspec.Struct, frozen=True):
    """Carry out a client's command."""

    caller: Caller
    command: ExtensionCommand


class CommandMethod(msgspec.Struct, frozen=True):
    """A method for a command, and who may send that."""

    command: type[ExtensionCommand]
    call: Callable[[Any, Caller, Any], Any]
    where: Where
    rate: Rate | None

    async def execute(self, owner: object, call: Call) -> ExtensionMessage | Refusal | None:
        """What to answer. Raises what the method raises, and `TypeError` if it returns what is no answer."""
        try:
            answer = self.call(owner, call.caller, call.command)
            if inspect.isawaitable(answer):
                answer = await answer
        except Refused as refused:
            return refused.refusal
        if answer is None:
            return None
        if not isinstance(answer, ExtensionMessage):
            raise TypeError(f"{self.call.__qualname__} must return a Message or None, not {type(answer).__name__}")
        answer = msgspec.structs.replace(answer, request_id=call.command.request_id)
        encode(answer)  # if it cannot be, that is a crash of its maker, and not of the session that would send it
        return answer


def command(*, where: Where | None = None, rate: Rate | None = None) -> Callable[[Method], Method]:
    """Mark a method of a `Service` or a `RoomKind` as what carries out the command that its second argument names.

    `def roll(self, caller: Caller, roll: Roll) -> Rolled`: plain or `async`; what it returns is sent to the caller with
    the command's own `id`, None is no answer; `Refused` is an error. Besides `rate`, the server's limit on frames
    holds. Calls of one service or room run one after the other, and nothing more is read from a caller who waits: what
    is slow belongs into `pipe`. `where`: after the login if nothing is said, in a room for what belongs to rooms.
    """

    def mark(method: Method) -> Method:
        method.__dict__["executes"] = (where, rate)  # read back by commands_of()
        return method

    return mark


Methods: typing.TypeAlias = Mapping[type[ExtensionCommand], CommandMethod]


def commands_of(owner: type[Any], default: Where, least: Where) -> Methods:
    """The commands of a class. Raises `BadHandler` for a method of no use, or a second one for a command.

    `default` is where they may be sent if nothing is said, `least` what may be said at the least.
    """
    found: dict[type[ExtensionCommand], CommandMethod] = {}
    for name, method in inspect.getmembers(owner, inspect.isfunction):
        marked = getattr(method, "executes", None)
        if marked is None:
            continue
        label = f"{owner.__qualname__}.{name}"
        command_type = _command_of(method, label)
        if command_type in found:
            raise BadHandler(
                label, f"{found[command_type].call.__qualname__} is already there for {command_type.__name__}"
            )
        where, rate = marked
        if list(Where).index(where or default) < list(Where).index(least):
            raise BadHandler(label, f"its commands can be sent {least.value} at the earliest, and not {where.value}")
        found[command_type] = CommandMethod(command_type, method, where or default, rate)
    return found


def _command_of(method: Callable[..., Any], label: str) -> type[ExtensionCommand]:
    parameters = list(inspect.signature(method).parameters)
    if len(parameters) != 3:
        raise BadHandler(label, "it must take the caller and the command: def method(self, caller, command)")
    command_type = typing.get_type_hints(method).get(parameters[2])
    if not (isinstance(command_type, type) and issubclass(command_type, ExtensionCommand)):
        raise BadHandler(label, f"annotate {parameters[2]!r} with a subclass of Command")
    return command_type
