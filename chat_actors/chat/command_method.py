"""Commands of extensions: the decorator for the methods that execute them, and the caller that they receive."""

from __future__ import annotations

import inspect
import types
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
    """Raise this to refuse a command, a join or a post: the client receives an `error`.

    Attributes:
        code: A stable word for programs, such as `"too_few_sides"`.
        text: One sentence for people.
    """

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    @property
    def refusal(self) -> Refusal:
        """The refusal that the server sends to the client."""
        return Refusal(self.code, self.text)


class Where(Enum):
    """The session states in which a client may send a command.

    Attributes:
        ANYWHERE: In every state, also before authentication.
        LOGGED_IN: After authentication, in a room or not.
        IN_ROOM: While the session is in the room that the command names, or in a current room.
    """

    ANYWHERE = "also before the login"
    LOGGED_IN = "after the login"
    IN_ROOM = "in a room"

    @property
    def rules(self) -> Mapping[SessionState, Refusal | None]:
        """For each session state the refusal, or None if the command is allowed."""
        return {
            SessionState.CONNECTED: None if self is Where.ANYWHERE else refusals.UNAUTHENTICATED,
            SessionState.AUTHENTICATED: refusals.NOT_IN_ROOM if self is Where.IN_ROOM else None,
            SessionState.NO_CURRENT_ROOM: refusals.NO_CURRENT_ROOM if self is Where.IN_ROOM else None,
            SessionState.IN_ROOM: None,
        }


class Rate(msgspec.Struct, frozen=True):
    """A limit for one command of one user, over all connections: a token bucket. Before login, for one connection.

    Attributes:
        per_second: Commands per second on average.
        burst: Commands in one burst.
    """

    per_second: float
    burst: int


class Caller(msgspec.Struct, frozen=True):
    """The connection that sent a command.

    Attributes:
        user_id: The authenticated user; empty before authentication.
        room_id: The room that the command names, else the session's current room; empty without one.
        outbox: The sending side of the connection; use `tell` and `refuse` instead.
        session: The session actor. Watch it to be notified when the connection ends.
    """

    user_id: str
    room_id: str
    outbox: Outbox
    session: AnyRef

    def tell(self, message: ExtensionMessage) -> bool:
        """Send a message outside the answer, at any time. Never blocks.

        Args:
            message: The message.

        Returns:
            False if the connection is closed.
        """
        return self.outbox.offer(Block.of(message))

    def refuse(self, code: str, text: str, request_id: str | None) -> bool:
        """Send an error for a command that is answered later, after its method has returned None. Never blocks.

        Args:
            code: A stable word for programs.
            text: One sentence for people.
            request_id: The `request_id` of the command.

        Returns:
            False if the connection is closed.
        """
        return self.outbox.offer(Block.of(Refusal(code, text).as_error(request_id)))


class Call(Request[ExtensionMessage | Refusal | None], msgspec.Struct, frozen=True):
    """Ask a service or a room to execute a client's command."""

    caller: Caller
    command: ExtensionCommand


class CommandMethod(msgspec.Struct, frozen=True):
    """A method that executes a command, with the command's state and rate limits, and the messages that answer it."""

    command: type[ExtensionCommand]
    call: Callable[[Any, Caller, Any], Any]
    where: Where
    rate: Rate | None
    answers: tuple[type[ExtensionMessage], ...] | None = None
    """None: the method does not declare them."""

    async def execute(self, owner: object, call: Call) -> ExtensionMessage | Refusal | None:
        """Call the method and return the answer. Raises `TypeError` if it returns neither a message nor None."""
        try:
            answer = self.call(owner, call.caller, call.command)
            if inspect.isawaitable(answer):
                answer = await answer
        except Refused as refused:
            return refused.refusal
        if answer is None:
            return None
        if not isinstance(answer, self.answers or ExtensionMessage):
            expected = " or ".join(one.__name__ for one in self.answers or ()) or "a Message"
            raise TypeError(f"{self.call.__qualname__} must return {expected} or None, not {type(answer).__name__}")
        answer = msgspec.structs.replace(answer, request_id=call.command.request_id)
        encode(answer)  # an answer that cannot be encoded must crash this actor, not the session that would send it
        return answer


def command(*, where: Where | None = None, rate: Rate | None = None) -> Callable[[Method], Method]:
    """Mark a method of a `Service` or a `RoomKind` as the handler of a command.

    The method has the form `def roll(self, caller: Caller, roll: Roll) -> Rolled`, plain or `async`. The annotation of
    its second argument names the command, that of the result the messages that answer it (`-> Rolled | None`), which
    `/protocol.json` then lists. The session sends the returned message to the caller, with the command's `id`; None
    sends nothing. Raise `Refused` to send an error.

    Calls to one service or one room run one after the other, and the server reads nothing more from the caller until
    the method returns. Run slow work in `pipe`.

    Args:
        where: The session states that allow the command. The default is `Where.LOGGED_IN`; for room kinds and services
            with `Scope.ROOM` it is `Where.IN_ROOM`.
        rate: The limit for each connection, in addition to the server's limit on frames.

    Returns:
        A decorator that returns the method.
    """

    def mark(method: Method) -> Method:
        method.__dict__["executes"] = (where, rate)  # read back by commands_of()
        return method

    return mark


Methods: typing.TypeAlias = Mapping[type[ExtensionCommand], CommandMethod]


def commands_of(owner: type[Any], default: Where, least: Where) -> Methods:
    """Collect the command methods of a class. Raises `BadHandler` for an invalid method or a duplicate command.

    `default` applies to methods without `where`; `least` is the weakest `where` that the class may declare.
    """
    found: dict[type[ExtensionCommand], CommandMethod] = {}
    for name, method in inspect.getmembers(owner, inspect.isfunction):
        marked = getattr(method, "executes", None)
        if marked is None:
            continue
        label = f"{owner.__qualname__}.{name}"
        command_type, answers = _annotations_of(method, label)
        if command_type in found:
            raise BadHandler(
                label, f"{found[command_type].call.__qualname__} is already there for {command_type.__name__}"
            )
        where, rate = marked
        if list(Where).index(where or default) < list(Where).index(least):
            raise BadHandler(label, f"its commands can be sent {least.value} at the earliest, and not {where.value}")
        found[command_type] = CommandMethod(command_type, method, where or default, rate, answers)
    return found


def _annotations_of(
    method: Callable[..., Any], label: str
) -> tuple[type[ExtensionCommand], tuple[type[ExtensionMessage], ...] | None]:
    """The command that a method executes, and the messages with which it answers, if it is annotated with them."""
    parameters = list(inspect.signature(method).parameters)
    if len(parameters) != 3:
        raise BadHandler(label, "it must take the caller and the command: def method(self, caller, command)")
    try:
        hints = typing.get_type_hints(method)
    except Exception as error:  # an annotation is any expression
        raise BadHandler(label, f"its annotations cannot be resolved: {error}") from None
    command_type = hints.get(parameters[2])
    if not (isinstance(command_type, type) and issubclass(command_type, ExtensionCommand)):
        raise BadHandler(label, f"annotate {parameters[2]!r} with a subclass of Command")
    if "return" not in hints:
        return command_type, None
    returned = hints["return"]
    is_union = typing.get_origin(returned) in (typing.Union, types.UnionType)
    answers = [one for one in (typing.get_args(returned) if is_union else (returned,)) if one is not types.NoneType]
    if any(one in (typing.Any, ExtensionMessage) for one in answers):
        return command_type, None
    for one in answers:
        if not (isinstance(one, type) and issubclass(one, ExtensionMessage)):
            raise BadHandler(label, f"annotate its result with subclasses of Message or None, not with {one}")
    return command_type, tuple(answers)
