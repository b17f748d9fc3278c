"""The base class of actors, and the table of the handlers of each class."""

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
    """Mark a method as the handler of a message type.

    The type is the annotation of the method's only argument; with a union, the method handles each of its types. It
    handles exactly these classes, not their subclasses. A class has at most one handler for a type.

    The method may be plain or `async`. Its return value answers a request sent with `ask`, and is dropped otherwise.

    Args:
        method: The handler.

    Returns:
        The same method.

    Raises:
        BadHandler: Raised later, when the first actor of the class is made: the annotation names no message type, or a
            type has two handlers.
    """
    method.__dict__["handles_messages"] = True  # read back by handlers_of()
    return method


class Actor(Generic[Message]):
    """Base class of actors: an object whose state only its own handlers change, with a mailbox in front of it.

    `Message` is the union of the message types that its `Ref` accepts. Handlers run one at a time, in the order of the
    mailbox. While a handler awaits, no other runs, so pass slow work to `context.pipe`.

    After a crash, a restart replaces the object by a new one, made by the same factory with the same arguments. One
    object between two restarts is an incarnation of the actor.

    Attributes:
        mailbox_capacity: Set by the class. Maximum number of waiting messages, at least 1. Then `Ref.tell` drops the
            message, `Ref.send_nowait` raises and `Ref.send` waits. The default is 256.
        supervision: Set by the class. The policy for a crash of this actor: `Stop`, `Resume`, `Restart` or `Escalate`.
            The default is `Stop()`.
        stop_within: Set by the class. Seconds that the children may take to end before they are cancelled, and then
            again seconds that `on_stop` may take. The default is 5.
        context: The actor's access to the kernel. Set before `on_start`, and the same after a restart.
    """

    mailbox_capacity: ClassVar[int] = 256
    supervision: ClassVar[Supervision] = Stop()
    stop_within: ClassVar[float] = 5.0

    context: Context

    def on_incarnation(self) -> None:
        """Called before `on_start` of each incarnation. For base classes, whose subclasses override `on_start`.

        A base class sets its timers here, since a crash cancels them. Must not block. An exception here is a crash.
        """

    async def on_start(self) -> None:
        """Called before the first message of each incarnation. An exception here is a crash. May be plain."""

    def on_turn_end(self) -> None:
        """Called when the mailbox is empty, after 64 messages in a row, and before a stop.

        Override it to act once on all messages since the last call.

        Each message is still handled by itself, so a crash loses one message, not a batch. Must not block. An exception
        here is a crash without a message.
        """

    def on_delivery(self, message: Message) -> None:
        """Called by `Ref.deliver_nowait`, in the sender's own task, without the mailbox.

        Called only while the actor is idle and its mailbox is empty, so messages stay in order and handlers do not
        interleave. Must not block: tell the actor itself a message for anything slower. An exception here is a crash on
        this message.

        Args:
            message: The message.
        """
        raise NotImplementedError

    def on_unhandled(self, message: Any) -> bool:
        """Called with a message that has no handler.

        Args:
            message: The message.

        Returns:
            True if the message is dealt with. False, the default, makes it a dead letter.
        """
        return False

    def on_failure(self, message: Any, error: Exception) -> None:
        """Called after a crash, before supervision acts. Reply to callers that still wait. Must not raise.

        Args:
            message: The message that crashed, or None if there was none (as in `on_start` and `on_turn_end`).
            error: The exception.
        """

    async def on_stop(self, reason: StopReason) -> None:
        """Called once when the actor ends, after its children have ended; shielded from cancellation.

        May be plain. Cut short after `stop_within` seconds, with a warning in the log. Not called before a restart, nor
        if the actor was cancelled at a deadline. An exception here is logged and published as `ActorFailed`, and
        changes nothing else.

        Args:
            reason: Why the actor ends.
        """


class HandlerTable(typing.NamedTuple):
    """The handler of each message type, and whether the class overrides `on_turn_end`."""

    methods: dict[type[Any], HandlerMethod]
    has_turn_end: bool


class HandlerMethod(typing.NamedTuple):
    """A handler, and whether its return value must be awaited."""

    call: Callable[[Any, Any], Any]
    is_async: bool


@functools.cache
def handlers_of(actor_class: type[Any]) -> HandlerTable:
    """Return the handler table of a class. Raises `BadHandler`: two handlers of a type, or an unusable annotation."""
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
