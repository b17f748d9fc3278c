"""The kernel's own messages: requests and their replies, and the system lane's messages."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar, cast

import anyio
import msgspec

from chat_actors.kernel.cancellation import as_failure
from chat_actors.kernel.timers import Timer

Answer = TypeVar("Answer")


class Request(Generic[Answer]):
    """Base class of messages that have an answer; the type parameter is the type of the answer.

    Send one with `Ref.ask`. Example: `class Roll(Request[Rolled], msgspec.Struct, frozen=True): ...`
    """

    __slots__ = ()


class Cause(Enum):
    """Why an actor ended.

    Attributes:
        STOPPED: `Ref.stop` was called, or its parent or the system ended.
        FINISHED: It stopped itself, by `Context.stop` or `Context.stop_if_idle`.
        FAILED: It crashed, and supervision ended it.
        CANCELLED: It did not stop within a deadline; or its task, or something that it awaited, was cancelled.
    """

    STOPPED = "asked to stop"
    FINISHED = "finished of its own accord"
    FAILED = "failed for good"
    CANCELLED = "was cancelled, since it did not stop within its deadline or something that it awaited was"


class StopReason(msgspec.Struct, frozen=True):
    """Why an actor ended.

    Attributes:
        cause: `STOPPED`, `FINISHED`, `FAILED` or `CANCELLED`.
        error: The exception of the last crash, if the cause is `FAILED`; else None.
    """

    cause: Cause
    error: Exception | None = None


class Reply(Generic[Answer]):
    """Receives one answer. The first `resolve` or `fail` counts; later calls are ignored."""

    __slots__ = ("_arrived", "_error", "_value")

    def __init__(self) -> None:
        self._arrived = anyio.Event()
        self._value: Answer | None = None
        self._error: Exception | None = None

    def resolve(self, value: Answer) -> None:
        if not self._arrived.is_set():
            self._value = value
            self._arrived.set()

    def fail(self, error: Exception) -> None:
        if not self._arrived.is_set():
            self._error = error
            self._arrived.set()

    async def wait(self) -> Answer:
        """Return the answer, or raise the error passed to `fail`."""
        await self._arrived.wait()
        if self._error is not None:
            raise self._error
        return cast("Answer", self._value)  # None is a valid answer to a Request[None]


class MessageReply(Reply[Answer]):
    """A reply that the requesting actor receives as a message, so that no task waits for it."""

    __slots__ = ("_failed", "_into", "_is_open", "_tell")

    def __init__(
        self,
        tell: Callable[[SystemMessage], object],
        into: Callable[[Answer], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        self._tell = tell
        self._into = into
        self._failed = failed
        self._is_open = True

    def resolve(self, value: Answer) -> None:
        if self._is_open:
            self._is_open = False
            self._tell(outcome(lambda: self._into(value), self._failed))

    def fail(self, error: Exception) -> None:
        if self._is_open:
            self._is_open = False
            self._tell(failure(error, self._failed))


class OwedAnswer(Generic[Answer]):
    """An answer that an actor gives after its handler has returned; made by `Context.answer_later`.

    The first `resolve` or `fail` counts; later calls are ignored.
    """

    __slots__ = ("_owed", "_reply")

    def __init__(self, reply: Reply[Answer], owed: dict[OwedAnswer[Any], None]) -> None:
        self._reply = reply
        self._owed = owed
        owed[self] = None

    def resolve(self, value: Answer) -> None:
        """Answer the request.

        Args:
            value: The answer, which the caller's `ask` returns.
        """
        self._owed.pop(self, None)
        self._reply.resolve(value)

    def fail(self, error: Exception) -> None:
        """Refuse the request.

        Args:
            error: The exception, which the caller's `ask` raises as it is.
        """
        self._owed.pop(self, None)
        self._reply.fail(error)


class Asked(msgspec.Struct, frozen=True):
    """A request in a mailbox, with the reply to fill. Takes a slot of the user lane."""

    request: Any
    reply: Reply[Any]


class SystemMessage(msgspec.Struct, frozen=True):
    """Base class of the system lane's messages, which a full mailbox accepts too."""


class StopOrder(SystemMessage, frozen=True):
    """Ends the actor once it has handled all messages queued before this one."""

    reason: StopReason


class Notice(SystemMessage, frozen=True):
    """A message for the actor's own handlers that must not be lost: of a timer, a watched actor or piped work."""

    message: Any


class Tick(Notice, frozen=True):
    """The notice of a timer. A repeating timer adds none while one waits."""

    timer: Timer


class Failure(SystemMessage, frozen=True):
    """A failure outside the actor's handlers, raised in the actor so that its supervision decides."""

    error: Exception
    messages: tuple[Any, ...] = ()
    """The messages that crashed, if any."""


def outcome(into: Callable[[], Any], failed: Callable[[Exception], Any]) -> SystemMessage:
    """Return the notice of finished work: the message made by `into`, or by `failed` if `into` raises."""
    try:
        return Notice(into())
    except BaseException as error:
        return failure(as_failure(error), failed)


def failure(error: Exception, failed: Callable[[Exception], Any]) -> SystemMessage:
    """Return the notice of failed work: the message made by `failed`, or a crash of the actor if `failed` raises."""
    try:
        return Notice(failed(error))
    except BaseException as another:
        return Failure(as_failure(another))
