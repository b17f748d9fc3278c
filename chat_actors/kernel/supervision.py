"""What a crash means: stop, resume, restart, or escalate. Policies are data, and the decision is a pure function."""

from __future__ import annotations

from typing import TypeAlias, assert_never

import msgspec

MOST_DOUBLINGS = 62
"""Of a pause: beyond any clock, and short of what a float can hold."""


class Stop(msgspec.Struct, frozen=True):
    """The actor ends; whoever watches it is told. The default: an actor without a plan for its crash has none."""


class Resume(msgspec.Struct, frozen=True):
    """The message that crashed is dropped (a dead letter) and the same actor object goes on with the next one."""


class Escalate(msgspec.Struct, frozen=True):
    """The actor ends and its crash becomes its parent's. At the top of the tree it ends the whole system."""


class Restart(msgspec.Struct, frozen=True):
    """A new actor object takes over the same mailbox, name and children, after a pause.

    The new object is made by the same factory with the same arguments: *what is passed to the constructor outlives a
    crash, what the actor made for itself does not*. The message that crashed is dropped (a dead letter).

    `at_most` crashes within `within` seconds are forgiven; one more, and `then` decides. The pause doubles from
    `backoff[0]` seconds with each crash within the window, up to `backoff[1]`.
    """

    at_most: int = 3
    within: float = 60.0
    backoff: tuple[float, float] = (0.1, 5.0)
    then: Stop | Escalate = Stop()


Supervision: TypeAlias = Stop | Resume | Restart | Escalate


class Pause(msgspec.Struct, frozen=True):
    """The verdict of a `Restart` that is still within its bounds: restart after `seconds`."""

    seconds: float


Verdict: TypeAlias = Stop | Resume | Escalate | Pause


class CrashRecord:
    """The crashes of one actor that still count. Holds at most `at_most + 1` times."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: tuple[float, ...] = ()

    def judge(self, supervision: Supervision, now: float) -> Verdict:
        """Note a crash at `now` (seconds on any monotonic clock) and say what happens next."""
        match supervision:
            case Restart(at_most=at_most, within=within, backoff=(shortest, longest), then=then):
                self._times = (*(time for time in self._times if now - time < within), now)
                if len(self._times) > at_most:
                    return then
                doublings = min(len(self._times) - 1, MOST_DOUBLINGS)
                return Pause(min(longest, shortest * 2.0**doublings))
            case Stop() | Resume() | Escalate():
                return supervision
            case _:
                assert_never(supervision)
