"""The messages that the kernel itself knows: requests, the end of a watched actor, and the kernel's own orders."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar, cast

import anyio
import msgspec

from chat_actors.kernel.timers import Timer

Answer = TypeVar("Answer")


class Request(Generic[Answer]):
    """Base of a message that names the type of its answer: `class Roll(Request[Rolled], msgspec.Struct): ...`."""

    __slots__ = ()


class Cause(Enum):
    """Why an actor ended."""

    STOPPED = "asked to stop"
    FINISHED = "finished of its own accord"
    FAILED = "failed for good"
    CANCELLED = "was cancelled, since it did not stop within its deadline or something that it awaited was"


class StopReason(msgspec.Struct, frozen=True):
    """Why an actor ended, and with which exception if it failed."""

    cause: Cause
    error: Exception | None = None


class Reply(Generic[Answer]):
    """The place where one answer arrives. The first `resolve` or `fail` counts; later ones are ignored."""

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
        """The answer. Raises the error that was put in its place."""
        await self._arrived.wait()
        if self._error is not None:
            raise self._error
        return cast("Answer", self._value)  # None is a fine answer to a Request[None]


class ToldReply(Reply[Answer]):
    """An answer that is told as a message to the one who asked, and that nobody waits for."""

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
    """An answer that an actor gives later: see `Context.answer_later`. The first `resolve` or `fail` counts."""

    __slots__ = ("_owed", "_reply")

    def __init__(self, reply: Reply[Answer], owed: dict[OwedAnswer[Any], None]) -> None:
        self._reply = reply
        self._owed = owed
        owed[self] = None

    def resolve(self, value: Answer) -> None:
        self._owed.pop(self, None)
        self._reply.resolve(value)

    def fail(self, error: Exception) -> None:
        """What the asker's `ask` raises."""
        self._owed.pop(self, None)
        self._reply.fail(error)


class Asked(msgspec.Struct, frozen=True):
    """A request on its way, with the place for its answer. Takes a user's place in the mailbox."""

    request: Any
    reply: Reply[Any]


class SystemMessage(msgspec.Struct, frozen=True):
    """Base of what travels by the system lane: the mailbox takes it however full it is."""


class StopOrder(SystemMessage, frozen=True):
    """End the actor when it comes to this message; what was queued before it is handled first."""

    reason: StopReason


class Notice(SystemMessage, frozen=True):
    """A message for the actor's own handlers which must not be lost: a timer, a watched actor's end, a piped result."""

    message: Any


class Tick(Notice, frozen=True):
    """The notice of a timer. A repeating one does not fire again while this waits."""

    timer: Timer


class Failure(SystemMessage, frozen=True):
    """Something that the actor answers for has failed. Raised within the actor, so that its supervision decides."""

    error: Exception
    messages: tuple[Any, ...] = ()
    """What it had in hand."""


def outcome(into: Callable[[], Any], failed: Callable[[Exception], Any]) -> SystemMessage:
    """What to tell an actor of work that is done: the message that `into` makes, else the one of what went wrong."""
    try:
        return Notice(into())
    except Exception as error:
        return failure(error, failed)


def failure(error: Exception, failed: Callable[[Exception], Any]) -> SystemMessage:
    """What to tell an actor of work that went wrong; a crash of its own if even that message cannot be made."""
    try:
        return Notice(failed(error))
    except Exception as another:
        return Failure(another)
