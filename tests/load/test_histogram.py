import math
import random
from collections import Counter

import pytest

from load.histogram import BUCKET_GROWTH, LOWEST_MS, bucket_of, merged, percentile, upper_bound


@pytest.mark.parametrize("ms", [0.0, LOWEST_MS, 0.1, 1.0, 2.5, 99.0, 30_000.0])
def test_a_time_is_told_within_two_percent_and_never_shorter(ms):
    told = upper_bound(bucket_of(ms))
    assert max(ms, LOWEST_MS) <= told * (1 + 1e-9)
    assert told <= max(ms, LOWEST_MS) * BUCKET_GROWTH * (1 + 1e-9)


@pytest.mark.parametrize("percent", [1, 50, 95, 99, 99.9, 100])
def test_percentiles_are_those_of_the_sorted_list(percent):
    chance = random.Random(5)
    times = sorted(chance.lognormvariate(1, 2) for _ in range(5000))
    told = percentile(Counter(map(bucket_of, times)), percent)
    real = times[math.ceil(len(times) * percent / 100) - 1]
    assert real <= told * (1 + 1e-9)
    assert told <= max(real, LOWEST_MS) * BUCKET_GROWTH * (1 + 1e-9)


def test_nothing_has_no_percentile():
    assert math.isnan(percentile(Counter(), 50))


def test_two_add_up():
    assert merged([Counter({1: 2}), Counter({1: 1, 5: 3})]) == Counter({1: 3, 5: 3})
