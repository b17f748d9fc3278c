"""The recorded operations of a load test: latencies in each interval of time, and failures."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from load.histogram import bucket_of, merged, percentile

MAX_REASONS = 200
"""Maximum number of distinct failure reasons; further ones are counted together."""

OTHER_REASONS = "others"


class Summary(msgspec.Struct, frozen=True):
    """One operation over a time window. Latencies in milliseconds, NaN if there are none."""

    count: int
    failures: int
    per_second: float
    p50: float
    p95: float
    p99: float
    p99_9: float
    longest: float


class RecordsDelta(msgspec.Struct):
    """The records of one process since its last report, by operation and by number of the interval."""

    interval: float
    times: dict[str, dict[int, dict[int, int]]]
    failures: dict[str, dict[int, int]]
    reasons: dict[str, int]
    longest: dict[str, dict[int, float]]


class Records:
    """The records of one process, or with `merge` of several. Intervals are numbered from the Unix epoch.

    Memory grows with the length of the test: about 100 bytes for each operation, interval and histogram bucket.
    """

    def __init__(self, interval: float = 1.0) -> None:
        """`interval`: length of an interval in seconds."""
        self.interval = interval
        self.reasons: Counter[str] = Counter()
        """Count of each failure reason."""
        self._times: defaultdict[str, defaultdict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
        self._failures: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._longest: defaultdict[str, dict[int, float]] = defaultdict(dict)

    def record_success(self, name: str, ms: float, at: float) -> None:
        """Record an operation that succeeded. `at`: Unix time of its end, in seconds."""
        number = self._number(at)
        self._times[name][number][bucket_of(ms)] += 1
        if ms > self._longest[name].get(number, -1.0):
            self._longest[name][number] = ms

    def record_failure(self, name: str, error: str, at: float) -> None:
        """Record an operation that failed. `at` as in `record_success`."""
        self._failures[name][self._number(at)] += 1
        reason = f"{name}: {error}"
        self.reasons[reason if reason in self.reasons or len(self.reasons) < MAX_REASONS else OTHER_REASONS] += 1

    @property
    def names(self) -> Sequence[str]:
        """All operations, in alphabetical order."""
        return sorted({*self._times, *self._failures})

    @property
    def operations(self) -> int:
        """Number of operations, including failed ones."""
        return self.count() + self.failures()

    def count(self, name: str | None = None) -> int:
        """Number of successes of one operation, or of all."""
        names = self._times if name is None else (name,)
        return sum(counts.total() for one in names for counts in self._times.get(one, {}).values())

    def failures(self, name: str | None = None) -> int:
        """Number of failures of one operation, or of all."""
        names = self._failures if name is None else (name,)
        return sum(self._failures[one].total() for one in names if one in self._failures)

    def summary(self, name: str, since: float = -math.inf, until: float = math.inf) -> Summary:
        """Summarize the operations of the whole intervals between two Unix times in seconds."""
        by_interval: Mapping[int, Counter[int]] = self._times.get(name, {})
        inside = [number for number in by_interval if self._is_inside(number, since, until)]
        counts = merged(by_interval[number] for number in inside)
        failures = sum(n for number, n in self._failures.get(name, {}).items() if self._is_inside(number, since, until))
        seconds = (max(inside) - min(inside) + 1) * self.interval if inside else self.interval
        return Summary(
            counts.total(),
            failures,
            counts.total() / seconds,
            percentile(counts, 50),
            percentile(counts, 95),
            percentile(counts, 99),
            percentile(counts, 99.9),
            max((self._longest[name][number] for number in inside), default=math.nan),
        )

    def series(self, name: str, percent: float) -> tuple[Sequence[float], Sequence[float]]:
        """The middle of each interval (Unix time in seconds), and a latency percentile in milliseconds."""
        numbers = sorted(self._times.get(name, {}))
        return self._middles(numbers), [percentile(self._times[name][number], percent) for number in numbers]

    def rates(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        """The middle of each interval (Unix time in seconds), and successes per second."""
        numbers = sorted(self._times.get(name, {}))
        return self._middles(numbers), [self._times[name][number].total() / self.interval for number in numbers]

    # -- transfer between processes ------------------------------------------------------------------------------------

    def take_delta(self) -> RecordsDelta:
        """Return the records since the last call, and clear them."""
        delta = RecordsDelta(
            self.interval,
            {name: {n: dict(counts) for n, counts in by.items()} for name, by in self._times.items()},
            {name: dict(by) for name, by in self._failures.items()},
            dict(self.reasons),
            {name: dict(by) for name, by in self._longest.items()},
        )
        self._times.clear()
        self._failures.clear()
        self.reasons.clear()
        self._longest.clear()
        return delta

    def merge(self, delta: RecordsDelta) -> None:
        """Add the records of another process. Its intervals must not be longer than these."""
        for name, by_interval in delta.times.items():
            for number, counts in by_interval.items():
                self._times[name][self._number(number * delta.interval)].update(counts)
        for name, failures in delta.failures.items():
            for number, count in failures.items():
                self._failures[name][self._number(number * delta.interval)] += count
        self.reasons.update(delta.reasons)
        for name, longest in delta.longest.items():
            for number, ms in longest.items():
                own_number = self._number(number * delta.interval)
                self._longest[name][own_number] = max(ms, self._longest[name].get(own_number, -1.0))

    def _number(self, at: float) -> int:
        return int(at // self.interval)

    def _is_inside(self, number: int, since: float, until: float) -> bool:
        return number * self.interval >= since and (number + 1) * self.interval <= until

    def _middles(self, numbers: Sequence[int]) -> Sequence[float]:
        return [(number + 0.5) * self.interval for number in numbers]
