import pytest

from chat_actors.client import Backoff
from chat_actors.protocol import CloseCode, retry_after


def highest():
    return 1.0


def test_pauses_double_up_to_a_bound_and_begin_anew_after_a_success():
    backoff = Backoff(highest, first=0.5, longest=5)
    assert [backoff.next_pause() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]
    backoff.succeeded()
    assert backoff.next_pause() == 0.5


def test_each_pause_is_chosen_at_random_below_its_bound():
    numbers = iter([0.0, 0.5, 0.25])
    backoff = Backoff(lambda: next(numbers), first=1)
    assert [backoff.next_pause() for _ in range(3)] == [0, 1, 1]


def test_it_may_go_on_for_ever():
    backoff = Backoff(highest, longest=30)
    assert [backoff.next_pause() for _ in range(2000)][-1] == 30


def test_a_server_that_names_a_time_is_obeyed_once():
    backoff = Backoff(highest, first=1)
    assert backoff.pause_after(CloseCode.SERVICE_RESTART, retry_after(2500)) == 2.5
    assert backoff.pause_after(CloseCode.SERVICE_RESTART, retry_after(2500)) == 2


@pytest.mark.parametrize("reason", ["", "retry after", "retry after soon", "retry after -5", "retry after ²"])
def test_a_time_that_is_none_is_not_obeyed(reason):
    assert Backoff(highest, first=1).pause_after(CloseCode.SERVICE_RESTART, reason) == 1


def test_a_time_too_far_away_is_bounded():
    assert Backoff(highest, longest=30).pause_after(CloseCode.SERVICE_RESTART, retry_after(10**9)) == 30


def test_who_was_too_slow_comes_back_at_once_but_not_again_and_again():
    backoff = Backoff(highest, first=1)
    assert [backoff.pause_after(CloseCode.TOO_SLOW, "") for _ in range(3)] == [0, 2, 4]


@pytest.mark.parametrize("code", [None, 1000, 1001, 1008, 1009, 1011, 1013])
def test_most_ends_are_worth_another_try(code):
    assert Backoff(highest, first=1).pause_after(code, "") == 1


@pytest.mark.parametrize("code", [1002, 1003, 1007, 4001, 4003])
def test_what_would_happen_again_is_not_tried_again(code):
    assert Backoff(highest).pause_after(code, "") is None
