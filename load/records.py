"""What a load test has seen: how long each exchange took, second by second, and what failed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from load.histogram import bucket_of, merged, percentile

MAX_REASONS = 200
"""Different kinds of failure that are told apart."""

OTHER_REASONS = "others"


class Summary(msgspec.Struct, frozen=True):
    """One kind of exchange over some time. Times in milliseconds, NaN if there was none."""

    count: int
    failures: int
    per_second: float
    p50: float
    p95: float
    p99: float
    p99_9: float
    longest: float


class RecordsDelta(msgspec.Struct):
    """What one process has seen since it last reported; by name and by the number of the interval."""

    interval: float
    times: dict[str, dict[int, dict[int, int]]]
    failures: dict[str, dict[int, int]]
    reasons: dict[str, int]
    longest: dict[str, dict[int, float]]


class Records:
    """Of one process, or with `merge` of many. Time is cut into intervals, numbered from the epoch on.

    Bounded by the length of the test: a name costs about 100 bytes for each interval and each different time in it.
    """

    def __init__(self, interval: float = 1.0) -> None:
        """`interval`: its length in seconds."""
        self.interval = interval
        self.reasons: Counter[str] = Counter()
        """Of each kind of failure how many there were, as a sentence."""
        self._times: defaultdict[str, defaultdict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
        self._failures: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._longest: defaultdict[str, dict[int, float]] = defaultdict(dict)

    def record_success(self, name: str, ms: float, at: float) -> None:
        """An exchange went well, and took so long. `at`: when it ended, in seconds since the epoch."""
        number = self._number(at)
        self._times[name][number][bucket_of(ms)] += 1
        if ms > self._longest[name].get(number, -1.0):
            self._longest[name][number] = ms

    def record_failure(self, name: str, why: str, at: float) -> None:
        """An exchange failed."""
        self._failures[name][self._number(at)] += 1
        reason = f"{name}: {why}"
        self.reasons[reason if reason in self.reasons or len(self.reasons) < MAX_REASONS else OTHER_REASONS] += 1

    @property
    def names(self) -> Sequence[str]:
        """Of all exchanges, in alphabetical order."""
        return sorted({*self._times, *self._failures})

    @property
    def operations(self) -> int:
        """How many there were, failed ones included."""
        return self.count() + self.failures()

    def count(self, name: str | None = None) -> int:
        """How many of this name, or of all, went well."""
        names = self._times if name is None else (name,)
        return sum(counts.total() for one in names for counts in self._times.get(one, {}).values())

    def failures(self, name: str | None = None) -> int:
        """How many of this name, or of all, failed."""
        names = self._failures if name is None else (name,)
        return sum(self._failures[one].total() for one in names if one in self._failures)

    def summary(self, name: str, since: float = -math.inf, until: float = math.inf) -> Summary:
        """Of those that ended in whole intervals between these times, in seconds since the epoch."""
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
        """The middle of each interval, in seconds since the epoch, and a percentile of it in milliseconds."""
        numbers = sorted(self._times.get(name, {}))
        return self._middles(numbers), [percentile(self._times[name][number], percent) for number in numbers]

    def rates(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        """The middle of each interval, in seconds since the epoch, and how many a second went well in it."""
        numbers = sorted(self._times.get(name, {}))
        return self._middles(numbers), [self._times[name][number].total() / self.interval for number in numbers]

    # -- from process to process ---------------------------------------------------------------------------------------

    def take_delta(self) -> RecordsDelta:
        """All that has been seen since the last time; it is forgotten here."""
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
        """What another process has seen, in intervals that are no longer than these."""
        for name, by_interval in delta.times.items():
            for number, counts in by_interval.items():
                self._times[name][self._number(number * delta.interval)].update(counts)
        for name, failures in delta.failures.items():
            for number, count in failures.items():
                self._failures[name][self._number(number * delta.interval)] += count
        self.reasons.update(delta.reasons)
        for name, longest in delta.longest.items():
            for number, ms in longest.items():
                number = self._number(number * delta.interval)
                self._longest[name][number] = max(ms, self._longest[name].get(number, -1.0))

    def _number(self, at: float) -> int:
        return int(at // self.interval)

    def _is_inside(self, number: int, since: float, until: float) -> bool:
        return number * self.interval >= since and (number + 1) * self.interval <= until

    def _middles(self, numbers: Sequence[int]) -> Sequence[float]:
        return [(number + 0.5) * self.interval for number in numbers]
