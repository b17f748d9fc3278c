"""Supervision policies: what the kernel does after a crash. Policies are data, and the decision is a pure function."""

from __future__ import annotations

from typing import TypeAlias, assert_never

import msgspec

MAX_DOUBLINGS = 62
"""Of a backoff pause: longer than any run, and within the range of a float."""


class Stop(msgspec.Struct, frozen=True):
    """Supervision policy: end the actor and notify its watchers with `Terminated`. The default of `Actor`."""


class Resume(msgspec.Struct, frozen=True):
    """Supervision policy: drop the message that crashed (a dead letter), and continue with the same actor object.

    A crash in `on_start` ends the actor nevertheless.
    """


class Escalate(msgspec.Struct, frozen=True):
    """Supervision policy: end the actor, and let its parent crash with `ChildFailed`.

    The parent's own policy then decides. At the top of the tree, the whole actor system ends with `SystemFailed`.
    """


class Restart(msgspec.Struct, frozen=True):
    """Supervision policy: after a pause, replace the actor object by a new one, a bounded number of times.

    The new object is made by the same factory with the same arguments, so what the constructor received outlives a
    crash, and what the object collected since does not. Mailbox, ref, name and children stay. The message that crashed
    is dropped (a dead letter).

    Attributes:
        at_most: Number of crashes within `within` seconds that restart the actor. One more, and `then` applies.
        within: Length of the window, in seconds.
        backoff: Shortest and longest pause before a restart, in seconds. The pause starts at the shortest and doubles
            with each further crash in the window, up to the longest.
        then: The policy once the restarts are used up: `Stop()` (the default) or `Escalate()`.
    """

    at_most: int = 3
    within: float = 60.0
    backoff: tuple[float, float] = (0.1, 5.0)
    then: Stop | Escalate = Stop()


Supervision: TypeAlias = Stop | Resume | Restart | Escalate


class Pause(msgspec.Struct, frozen=True):
    """The verdict of a `Restart` policy that has restarts left: restart after `seconds`."""

    seconds: float


Verdict: TypeAlias = Stop | Resume | Escalate | Pause


class CrashRecord:
    """The times of an actor's crashes within the window of its policy: `at_most + 1` times at most."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: tuple[float, ...] = ()

    def judge(self, supervision: Supervision, now: float) -> Verdict:
        """Record a crash at `now` (seconds of a monotonic clock) and decide what follows."""
        match supervision:
            case Restart(at_most=at_most, within=within, backoff=(shortest, longest), then=then):
                self._times = (*(time for time in self._times if now - time < within), now)
                if len(self._times) > at_most:
                    return then
                doublings = min(len(self._times) - 1, MAX_DOUBLINGS)
                return Pause(min(longest, shortest * 2.0**doublings))
            case Stop() | Resume() | Escalate():
                return supervision
            case _:
                assert_never(supervision)
