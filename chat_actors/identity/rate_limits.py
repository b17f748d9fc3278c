"""Rate limits. Pure: callers pass in the time, in seconds on any monotonic clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address


class AttemptLimit:
    """At most `limit` attempts for each key within any `window` seconds (limit 0: no limit).

    A refused attempt is not recorded, so a key holds at most `limit` times. The table holds at most `capacity` keys;
    when it is full, it evicts the least recently used one. A client with that many addresses is not stopped by a limit
    for each address, and must not fill the memory either.
    """

    def __init__(self, limit: int, window: float, capacity: int = 65_536) -> None:
        self._limit = limit
        self._window = window
        self._capacity = capacity
        self._attempts: OrderedDict[str, deque[float]] = OrderedDict()  # the least recently used first

    def __len__(self) -> int:
        """The number of keys in the table."""
        return len(self._attempts)

    def allow(self, key: str, now: float) -> bool:
        """Record an attempt if it is allowed. Whether it is."""
        if not self._limit:
            return True
        self._evict_expired(now)
        times = self._attempts.setdefault(key, deque())
        self._attempts.move_to_end(key)
        while times and now - times[0] >= self._window:
            times.popleft()
        if len(times) >= self._limit:
            return False
        times.append(now)
        if len(self._attempts) > self._capacity:
            self._attempts.popitem(last=False)
        return True

    def _evict_expired(self, now: float) -> None:
        # Two at most in one call: the table shrinks faster than it grows, and each call is short.
        for _ in range(min(2, len(self._attempts))):
            key = next(iter(self._attempts))
            times = self._attempts[key]
            if times and now - times[-1] < self._window:
                return
            del self._attempts[key]


class TokenBucket:
    """A token bucket: `rate` tokens a second, and at most `burst` at once (rate 0: no limit)."""

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._tokens = self._burst
        self._updated: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all; if not, callers need not read a clock."""
        return bool(self._rate)

    def is_full(self, now: float) -> bool:
        """Whether the bucket allows as much as a new one."""
        if not self._rate or self._updated is None:
            return True
        return self._tokens + (now - self._updated) * self._rate >= self._burst

    def take(self, now: float) -> bool:
        """Take one token if there is one. Whether there was."""
        if not self._rate:
            return True
        if self._updated is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def network_of(address: str) -> str:
    """The network that counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one subscriber has.

    An IPv4-mapped IPv6 address counts as IPv4. A text that is not an address is returned, cut to 64 characters.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
