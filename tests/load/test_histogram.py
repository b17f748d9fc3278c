import math
import random
from collections import Counter

import pytest

from load.histogram import BUCKET_GROWTH, LOWEST_MS, bucket_of, merged, percentile, upper_bound


@pytest.mark.parametrize("ms", [0.0, LOWEST_MS, 0.1, 1.0, 2.5, 99.0, 30_000.0])
def test_bucket_bound_is_within_two_percent(ms):
    estimate = upper_bound(bucket_of(ms))
    assert max(ms, LOWEST_MS) <= estimate * (1 + 1e-9)
    assert estimate <= max(ms, LOWEST_MS) * BUCKET_GROWTH * (1 + 1e-9)


@pytest.mark.parametrize("percent", [1, 50, 95, 99, 99.9, 100])
def test_percentiles_match_the_sorted_list(percent):
    chance = random.Random(5)
    times = sorted(chance.lognormvariate(1, 2) for _ in range(5000))
    estimate = percentile(Counter(map(bucket_of, times)), percent)
    exact = times[math.ceil(len(times) * percent / 100) - 1]
    assert exact <= estimate * (1 + 1e-9)
    assert estimate <= max(exact, LOWEST_MS) * BUCKET_GROWTH * (1 + 1e-9)


def test_empty_histogram_has_no_percentile():
    assert math.isnan(percentile(Counter(), 50))


def test_merged_adds_counts():
    assert merged([Counter({1: 2}), Counter({1: 1, 5: 3})]) == Counter({1: 3, 5: 3})
