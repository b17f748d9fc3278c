"""The event bus: blinker underneath, one frozen record for each event on top. And the events of the kernel itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import blinker
import msgspec

from chat_actors.kernel.messages import StopReason

Event = TypeVar("Event", bound=msgspec.Struct)

logger = logging.getLogger(__name__)


class EventBus:
    """Says what has happened, to whoever wants to know.

    Listeners are called at once, in no promised order, and must not block. One that raises is logged and counted in
    `listener_failures`; neither the publisher nor the other listeners notice. An event is a record of a class of its
    own; listening to a class hears exactly that class.
    """

    def __init__(self) -> None:
        self._signals: dict[type[msgspec.Struct], blinker.Signal] = {}
        self.listener_failures = 0

    def listen(self, event_type: type[Event], listener: Callable[[Event], object]) -> Callable[[], None]:
        """Call `listener(event)` for each event of class `event_type` until the returned function is called."""
        signal = self._signals.setdefault(event_type, blinker.Signal(event_type.__doc__))

        def guarded(sender: object, *, event: Event) -> None:
            try:
                listener(event)
            except Exception:
                self.listener_failures += 1
                logger.exception("a listener to %s failed; the event itself went on", event_type.__name__)

        # weak=False: blinker's default would let a lambda or a bound method vanish at once.
        signal.connect(guarded, weak=False)
        return lambda: signal.disconnect(guarded)

    def has_listeners(self, event_type: type[msgspec.Struct]) -> bool:
        """Whether anybody would hear it: look before you build an event on a hot path."""
        signal = self._signals.get(event_type)
        return signal is not None and bool(signal.receivers)

    def publish(self, event: msgspec.Struct) -> None:
        """Tell everybody who listens to this class of event. Never raises what a listener raises."""
        signal = self._signals.get(type(event))
        if signal is not None and signal.receivers:
            # The sender is one fixed object: blinker keeps an entry for each sender for ever.
            signal.send(self, event=event)


class Undelivered(Enum):
    """Why a message became a dead letter."""

    FULL = "the mailbox was full"
    STOPPED = "the actor had stopped"
    UNHANDLED = "the actor has no handler for it"
    CRASHED = "the actor crashed on it"
    CANCELLED = "the actor was cancelled in the middle of it"


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that reached nobody."""

    path: str
    message: Any
    why: Undelivered


class ActorFailed(msgspec.Struct, frozen=True):
    """An actor raised out of a handler. What becomes of it is its supervision's choice."""

    path: str
    error: Exception


class ActorRestarted(msgspec.Struct, frozen=True):
    """A crashed actor is back under the same ref; `restarts` counts how often that has happened."""

    path: str
    restarts: int


class ActorEnded(msgspec.Struct, frozen=True):
    """An actor has ended, for good or ill."""

    path: str
    reason: StopReason
