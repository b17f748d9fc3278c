"""When to come back to a server, and when not to. Pure: the randomness is passed in."""

from __future__ import annotations

from collections.abc import Callable

from chat_actors.protocol import CloseCode, parse_retry_after

_HOPELESS = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_DATA,
        CloseCode.NOT_AUTHENTICATED,
        CloseCode.ORIGIN_REFUSED,
    }
)
"""The client would do the same again and be closed again. (1008 is not among them: it is also for unanswered pings,
which is what happens to a computer that slept.)"""


class Backoff:
    """Pauses that grow with each failure in a row, each chosen at random below its bound ("full jitter").

    So that all clients of a server that comes back do not come at once, and again at once ("Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015).
    """

    def __init__(self, random: Callable[[], float], *, first: float = 0.5, longest: float = 30.0) -> None:
        """`random()` gives a number from 0 to 1. Seconds: `first` is the bound of the first pause."""
        self._random = random
        self._first = first
        self._longest = longest
        self._failures = 0

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0

    def next_pause(self) -> float:
        """Seconds to wait after one more failure."""
        bound = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return self._random() * bound

    def pause_after(self, code: int | None, reason: str) -> float | None:
        """Seconds to wait after a connection has ended with this close code (None: without one); None: for ever.

        A server that names a time is obeyed, the first time. One that says that we were too slow is come back to at
        once: what it has for us is waiting, and nothing is gained by letting it grow.
        """
        if code in _HOPELESS:
            return None
        named = parse_retry_after(reason) if code == CloseCode.SERVICE_RESTART else None
        is_first = self._failures == 0
        pause = self.next_pause()
        if is_first and named is not None:
            return min(named / 1000, self._longest)
        return 0.0 if is_first and code == CloseCode.TOO_SLOW else pause
