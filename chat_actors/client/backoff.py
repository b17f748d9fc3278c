"""When to reconnect to a server, and when not to. Pure: the randomness is passed in."""

from __future__ import annotations

from collections.abc import Callable

from chat_actors.protocol import CloseCode, parse_retry_after

_PERMANENT = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_DATA,
        CloseCode.NOT_AUTHENTICATED,
        CloseCode.ORIGIN_REFUSED,
    }
)
"""Close codes after which a new connection would end the same way. 1008 is not one of them: the server also sends it
for unanswered pings, which happens to a computer that was suspended."""


class Backoff:
    """Pauses between attempts to connect: each is random, below a bound that doubles with every failure in a row.

    This is "full jitter" ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015). It spreads out the clients of
    a server that restarts.
    """

    def __init__(self, random: Callable[[], float], *, first: float = 0.5, longest: float = 30.0) -> None:
        """Start with no failures.

        Args:
            random: Returns a number from 0 to 1.
            first: Upper bound of the first pause, in seconds.
            longest: Upper bound of every pause, in seconds.
        """
        self._random = random
        self._first = first
        self._longest = longest
        self._failures = 0

    def succeeded(self) -> None:
        """Reset the count of failures."""
        self._failures = 0

    def next_pause(self) -> float:
        """Count a failure.

        Returns:
            The pause before the next attempt, in seconds.
        """
        bound = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return self._random() * bound

    def pause_after(self, code: int | None, reason: str) -> float | None:
        """Count the end of a connection as a failure, unless it is permanent.

        After the first failure, the pause is the time that the server named, or zero if the server closed the
        connection because this client read too slowly: the backlog only grows while the client waits.

        Args:
            code: The WebSocket close code (RFC 6455, section 7.4); None if there was no Close frame.
            reason: The reason of the Close frame; may name a time ("retry after 2500").

        Returns:
            The pause before the next attempt, in seconds; None if another attempt would end the same way.
        """
        if code in _PERMANENT:
            return None
        named_ms = parse_retry_after(reason) if code == CloseCode.SERVICE_RESTART else None
        is_first = self._failures == 0
        pause = self.next_pause()
        if is_first and named_ms is not None:
            return min(named_ms / 1000, self._longest)
        return 0.0 if is_first and code == CloseCode.TOO_SLOW else pause
