"""The event bus, on blinker signals, and the kernel's own events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import blinker
import msgspec

from chat_actors.kernel.cancellation import as_failure
from chat_actors.kernel.messages import StopReason

Event = TypeVar("Event", bound=msgspec.Struct)

logger = logging.getLogger(__name__)


class EventBus:
    """Publishes events, which are frozen records, to the listeners of their type.

    `publish` calls the listeners itself, in no particular order, so they must not block. An exception of a listener,
    also `CancelledError` or `SystemExit`, is logged and counted; it reaches neither the publisher nor the other
    listeners. A listener may send messages. Dead letters that arise while listeners receive a `DeadLetter`, and dead
    letters whose message is a `DeadLetter`, are counted and not published: otherwise a listener that forwards dead
    letters to a stopped actor would run forever.

    Attributes:
        listener_failures: Number of exceptions that listeners have raised.
    """

    def __init__(self) -> None:
        self._signals: dict[type[msgspec.Struct], blinker.Signal] = {}
        self.listener_failures = 0

    def listen(self, event_type: type[Event], listener: Callable[[Event], object]) -> Callable[[], None]:
        """Call a listener for each event of a type from now on.

        Args:
            event_type: The class of the events; its subclasses are not included.
            listener: The function to call with each event. Must not block.

        Returns:
            A function that removes the listener.
        """
        signal = self._signals.setdefault(event_type, blinker.Signal(event_type.__doc__))

        def guarded(sender: object, *, event: Event) -> None:
            try:
                listener(event)
            except BaseException as error:
                self.listener_failures += 1
                logger.error("a listener of %s failed", event_type.__name__, exc_info=as_failure(error))

        # weak=False: by default, blinker drops a lambda or a bound method as soon as the caller does.
        signal.connect(guarded, weak=False)
        return lambda: signal.disconnect(guarded)

    def has_listeners(self, event_type: type[msgspec.Struct]) -> bool:
        """Whether the type has listeners. On a hot path, ask before making an event."""
        signal = self._signals.get(event_type)
        return signal is not None and bool(signal.receivers)

    def publish(self, event: msgspec.Struct) -> None:
        """Call the listeners of the event's type. Does not raise what they raise."""
        signal = self._signals.get(type(event))
        if signal is not None and signal.receivers:
            # Always the same sender, since blinker keeps an entry for each sender forever.
            signal.send(self, event=event)


class Undelivered(Enum):
    """Why a message became a dead letter.

    Attributes:
        FULL: The mailbox was full.
        STOPPED: The actor had stopped.
        UNHANDLED: The actor has no handler for it.
        CRASHED: The actor crashed while handling it.
        CANCELLED: The actor was cancelled while handling it.
    """

    FULL = "the mailbox was full"
    STOPPED = "the actor had stopped"
    UNHANDLED = "the actor has no handler for it"
    CRASHED = "the actor crashed on it"
    CANCELLED = "the actor was cancelled while handling it"


class DeadLetter(msgspec.Struct, frozen=True):
    """A message was not handled. See `EventBus` for the dead letters that are counted and not published.

    Attributes:
        path: The path of the actor to which it was sent.
        message: The message.
        why: Why it was not handled.
    """

    path: str
    message: Any
    why: Undelivered


class ActorFailed(msgspec.Struct, frozen=True):
    """An actor has crashed. Its supervision decides what follows.

    Attributes:
        path: The path of the actor.
        error: The exception.
    """

    path: str
    error: Exception


class ActorRestarted(msgspec.Struct, frozen=True):
    """An actor has restarted after a crash, under the same ref.

    Attributes:
        path: The path of the actor.
        restarts: Number of its restarts so far.
    """

    path: str
    restarts: int


class ActorEnded(msgspec.Struct, frozen=True):
    """An actor has ended.

    Attributes:
        path: The path of the actor.
        reason: Why it ended.
    """

    path: str
    reason: StopReason
