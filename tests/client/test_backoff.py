"""`Backoff`: the pauses between attempts to connect."""

import pytest

from chat_actors.client import Backoff
from chat_actors.protocol import CloseCode, retry_after


def highest():
    return 1.0


def test_pauses_double_up_to_bound_and_reset():
    backoff = Backoff(highest, first=0.5, longest=5)
    assert [backoff.next_pause() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]
    backoff.succeeded()
    assert backoff.next_pause() == 0.5


def test_each_pause_is_random_below_its_bound():
    numbers = iter([0.0, 0.5, 0.25])
    backoff = Backoff(lambda: next(numbers), first=1)
    assert [backoff.next_pause() for _ in range(3)] == [0, 1, 1]


def test_many_failures_do_not_overflow():
    backoff = Backoff(highest, longest=30)
    assert [backoff.next_pause() for _ in range(2000)][-1] == 30


def test_retry_after_is_used_once():
    backoff = Backoff(highest, first=1)
    assert backoff.pause_after(CloseCode.SERVICE_RESTART, retry_after(2500)) == 2.5
    assert backoff.pause_after(CloseCode.SERVICE_RESTART, retry_after(2500)) == 2


@pytest.mark.parametrize("reason", ["", "retry after", "retry after soon", "retry after -5", "retry after ²"])
def test_invalid_retry_after_is_ignored(reason):
    assert Backoff(highest, first=1).pause_after(CloseCode.SERVICE_RESTART, reason) == 1


def test_retry_after_is_bounded():
    assert Backoff(highest, longest=30).pause_after(CloseCode.SERVICE_RESTART, retry_after(10**9)) == 30


def test_too_slow_reconnects_at_once_only_once():
    backoff = Backoff(highest, first=1)
    assert [backoff.pause_after(CloseCode.TOO_SLOW, "") for _ in range(3)] == [0, 2, 4]


@pytest.mark.parametrize("code", [None, 1000, 1001, 1008, 1009, 1011, 1013])
def test_transient_close_codes_are_retried(code):
    assert Backoff(highest, first=1).pause_after(code, "") == 1


@pytest.mark.parametrize("code", [1002, 1003, 1007, 4001, 4003])
def test_permanent_close_codes_are_not_retried(code):
    assert Backoff(highest).pause_after(code, "") is None
