"""The base class of every actor, and how a handler is found for a message."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from chat_actors.kernel.context import Context
from chat_actors.kernel.errors import BadHandler
from chat_actors.kernel.messages import StopReason
from chat_actors.kernel.supervision import Stop, Supervision

Message = TypeVar("Message")
Handler = TypeVar("Handler", bound=Callable[..., Any])


def handles(method: Handler) -> Handler:
    """Mark a method as the handler of the message type that its one argument is annotated with (a union: of each).

    The method may be plain or `async`. What it returns is the answer, if the message was asked; told, it is dropped.
    It handles exactly these classes, not their subclasses, and no class has two handlers: `BadHandler` otherwise.
    """
    method.__dict__["handles_messages"] = True  # read back by handlers_of()
    return method


class Actor(Generic[Message]):
    """State that only its own handlers touch, and a mailbox. `Message` is the union of what may be sent to it.

    Handlers run one at a time, in the order of the mailbox. While one awaits, the others wait: what is slow belongs
    into `context.pipe`.
    """

    mailbox_capacity: ClassVar[int] = 256
    """How many messages may wait before `tell` refuses, `send_nowait` raises and `send` waits."""

    supervision: ClassVar[Supervision] = Stop()
    """What a crash of this actor means."""

    stop_within: ClassVar[float] = 5.0
    """Seconds that its children may take to end before they are cancelled, and then `on_stop` likewise."""

    context: Context
    """What the actor can do; set before `on_start`, and for good."""

    async def on_start(self) -> None:
        """Runs before the first message, and again in each new object after a restart. Raising here is a crash."""

    def on_turn_end(self) -> None:
        """Override to act once on all that the handlers have collected: nothing waits any more, or the turn is up.

        A turn is what was waiting, at most 64 messages (`TURN`). Each message is still handled by itself, so a crash
        is about one message and not about a batch. Must not wait. Raising here is a crash with no message in hand.
        """

    def on_delivery(self, message: Message) -> None:
        """Override to take what comes by `Ref.deliver_nowait`: in the sender's own turn, without the mailbox.

        Called only while nothing waits for the actor and it has nothing in hand, so no two messages interleave and
        order holds. Must not wait: what takes longer it tells itself. Raising here is a crash on that message.
        """
        raise NotImplementedError

    def on_unhandled(self, message: Any) -> bool:
        """A message came that no handler takes. True: dealt with. False (as here): it becomes a dead letter."""
        return False

    def on_failure(self, message: Any, error: Exception) -> None:
        """The last word of an object whose handler raised on `message`: tell whoever waits. Must not raise.

        `message` is None if it was `on_start` that raised. Runs whatever the supervision then does.
        """

    async def on_stop(self, reason: StopReason) -> None:
        """Runs once at the end, after the children have ended; shielded from cancellation for `stop_within` seconds.

        Then it is cut short, with a warning in the log. Does not run when the object is replaced by a restart, nor when
        the actor was cancelled at a deadline. Raising here is logged and published as a crash, and changes nothing.
        """


class HandlerTable(typing.NamedTuple):
    """Which method handles which message type, and whether the actor wants to know when a turn ends."""

    methods: dict[type[Any], HandlerMethod]
    ends_turns: bool


class HandlerMethod(typing.NamedTuple):
    """A handler, and whether what it returns has to be awaited."""

    call: Callable[[Any, Any], Any]
    is_async: bool


@functools.cache
def handlers_of(actor_class: type[Any]) -> HandlerTable:
    """The handler table of a class. Raises `BadHandler` for a second handler of a type, or an annotation of no use."""
    methods: dict[type[Any], HandlerMethod] = {}
    for message_type, method in _find_handlers(actor_class):
        if message_type in methods:
            other = methods[message_type].call.__qualname__
            raise BadHandler(method.call.__qualname__, f"{other} is already the handler of {message_type.__name__}")
        methods[message_type] = method
    return HandlerTable(methods, actor_class.on_turn_end is not Actor.on_turn_end)


def _find_handlers(actor_class: type[Any]) -> typing.Iterator[tuple[type[Any], HandlerMethod]]:
    for name, method in inspect.getmembers(actor_class, inspect.isfunction):
        if not getattr(method, "handles_messages", False):
            continue
        label = f"{actor_class.__qualname__}.{name}"
        parameters = [p for p in inspect.signature(method).parameters if p != "self"]
        if len(parameters) != 1:
            raise BadHandler(label, "it must take the message as its one argument")
        hint = typing.get_type_hints(method).get(parameters[0])
        union = typing.get_origin(hint) in (typing.Union, types.UnionType)
        for message_type in typing.get_args(hint) if union else (hint,):
            if not isinstance(message_type, type):
                raise BadHandler(label, f"annotate {parameters[0]!r} with a message class or a union of them")
            yield message_type, HandlerMethod(method, inspect.iscoroutinefunction(method))
