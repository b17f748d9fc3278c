import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_actors.identity import AttemptLimit, TokenBucket, network_of


def test_attempts_are_limited_for_each_key():
    limit = AttemptLimit(2, 10)
    assert [limit.allow("a", now) for now in (0, 1, 2, 9.9, 10, 10.5, 11)] == [
        True,
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    assert limit.allow("b", 2)


def test_limit_of_zero_allows_and_records_nothing():
    limit = AttemptLimit(0, 10)
    assert all(limit.allow("a", 0) for _ in range(100))
    assert len(limit) == 0


def test_table_holds_at_most_its_capacity():
    limit = AttemptLimit(5, 10, capacity=100)
    for n in range(1000):
        assert limit.allow(str(n), 0)
    assert len(limit) == 100


def test_expired_keys_are_evicted():
    limit = AttemptLimit(5, 10)
    for n in range(100):
        limit.allow(str(n), n / 100)
    for n in range(60):
        limit.allow("later", 100 + n * 11)
    assert len(limit) == 1


def test_full_table_evicts_the_least_recently_used():
    """A key that is used again stays, and the newest one is never evicted."""
    limit = AttemptLimit(2, 10, capacity=2)
    assert limit.allow("a", 0)
    assert limit.allow("b", 1)
    assert limit.allow("a", 2)
    assert limit.allow("c", 3)
    assert not limit.allow("a", 4)
    assert limit.allow("c", 5)
    assert not limit.allow("c", 6)
    assert [limit.allow("b", now) for now in (7, 7.5, 8)] == [True, True, False]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=60))
def test_no_window_has_more_attempts_than_the_limit(steps):
    limit, now, allowed = AttemptLimit(3, 10), 0.0, {"a": [], "b": [], "c": []}
    for key, pause in steps:
        now += pause
        if limit.allow(key, now):
            allowed[key].append(now)
    for times in allowed.values():
        for first, fourth in zip(times, times[3:], strict=False):
            assert fourth - first >= 10


def test_bucket_allows_its_burst_and_then_its_rate():
    bucket = TokenBucket(2, 3)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]


def test_bucket_without_a_rate_allows_everything():
    bucket = TokenBucket(0, 1)
    assert all(bucket.take(0) for _ in range(100))
    assert (bucket.is_limited, TokenBucket(1, 1).is_limited) == (False, True)


def test_bucket_without_a_burst_holds_one_token():
    bucket = TokenBucket(1, 0)
    assert [bucket.take(now) for now in (0, 0, 1, 1, 9, 9)] == [True, False] * 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("local", "local"),
        ("x" * 100, "x" * 64),
    ],
)
def test_network_of_groups_ipv6_addresses_by_64(address, network):
    assert network_of(address) == network
