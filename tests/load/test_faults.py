"""Servers with a fault planted: each is caught by the scenario that is meant for it, and told for what it is."""

import pytest

from tests.load.running import Load, Server, breached

pytestmark = pytest.mark.timeout(120)


def judge(tmp_path, fault, scenario, *arguments, **options):
    with Server(tmp_path, fault) as server:
        code, verdict = Load(server.url, tmp_path / "load", scenario, *arguments, **options).verdict()
    return code, verdict


def test_one_message_dropped_in_ten_thousand_is_caught_by_steady(tmp_path):
    code, verdict = judge(tmp_path, "drop", "steady", "--say-every", 0.1, users=40, seconds=12)
    assert code == 1
    assert verdict["reasons"]["delivery: messages are missing"] >= 1
    assert "failed exchanges" in breached(verdict)


def test_one_percent_that_comes_late_is_caught_by_steady(tmp_path):
    code, verdict = judge(tmp_path, "delay", "steady", "--say-every", 1, users=40, seconds=8)
    assert code == 1
    assert "delivery, p99" in breached(verdict)
    assert verdict["reasons"] == {}


def test_a_session_leaked_at_each_disconnect_is_caught_by_login_storm(tmp_path):
    code, verdict = judge(tmp_path, "leak", "login_storm", users=20, seconds=10)
    assert code == 1
    assert "memory kept of each connection" in breached(verdict)
    assert verdict["reasons"] == {}


def test_two_messages_in_the_wrong_order_are_caught_by_steady(tmp_path):
    code, verdict = judge(tmp_path, "reorder", "steady", "--say-every", 0.2, users=40, seconds=8)
    assert code == 1
    assert verdict["reasons"]["delivery: out of order"] >= 1
    assert "failed exchanges" in breached(verdict)
