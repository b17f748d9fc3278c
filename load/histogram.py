"""A latency histogram with exponential buckets: bounded in size, and histograms can be merged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

BUCKET_GROWTH = 1.02
"""Ratio between the upper bounds of two buckets; percentiles are accurate within 2 %."""

LOWEST_MS = 0.01
"""Upper bound of the first bucket, in milliseconds."""

_LOG_STEP = math.log(BUCKET_GROWTH)


def bucket_of(ms: float) -> int:
    """The bucket of a latency in milliseconds."""
    return 0 if ms <= LOWEST_MS else math.ceil(math.log(ms / LOWEST_MS) / _LOG_STEP)


def upper_bound(bucket: int) -> float:
    """The highest latency that falls into a bucket, in milliseconds."""
    return LOWEST_MS * math.exp(bucket * _LOG_STEP)


def percentile(counts: Counter[int], percent: float) -> float:
    """A percentile in milliseconds, rounded up to the bound of its bucket. NaN if the histogram is empty."""
    wanted = math.ceil(counts.total() * percent / 100)
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            return upper_bound(bucket)
    return math.nan


def merged(histograms: Iterable[Counter[int]]) -> Counter[int]:
    """The sum of several histograms."""
    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update(histogram)
    return total
