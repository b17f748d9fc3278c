"""How often something took how long: small, and two of them add up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

BUCKET_GROWTH = 1.02
"""Each bucket reaches this much further than the one before: what is read from it is right within 2 %."""

LOWEST_MS = 0.01
"""Milliseconds. Whatever takes less is in the first bucket."""

_LOG_STEP = math.log(BUCKET_GROWTH)


def bucket_of(ms: float) -> int:
    """The bucket of a time in milliseconds."""
    return 0 if ms <= LOWEST_MS else math.ceil(math.log(ms / LOWEST_MS) / _LOG_STEP)


def upper_bound(bucket: int) -> float:
    """The longest time that falls into a bucket, in milliseconds."""
    return LOWEST_MS * math.exp(bucket * _LOG_STEP)


def percentile(counts: Counter[int], percent: float) -> float:
    """The time within which so many percent were done, in milliseconds; never told shorter than it was. NaN of none."""
    wanted = math.ceil(counts.total() * percent / 100)
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            return upper_bound(bucket)
    return math.nan


def merged(histograms: Iterable[Counter[int]]) -> Counter[int]:
    """All of them in one."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update(histogram)
    return total
