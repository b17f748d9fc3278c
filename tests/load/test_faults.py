"""Servers with injected faults: the matching scenario detects and identifies each fault."""

from contextlib import ExitStack

import pytest

from tests.load.harness import Load, Server, breached

pytestmark = pytest.mark.timeout(3600)
SCENARIOS = {
    "drop": ("steady", {"users": 40, "seconds": 14}, ("--say-every", 0.1)),
    "delay": ("steady", {"users": 40, "seconds": 10}, ("--say-every", 1)),
    "leak": ("login_storm", {"users": 10}, ()),
    "reorder": ("steady", {"users": 40, "seconds": 10}, ("--say-every", 0.3)),
}


REASONS = {"drop": "delivery: messages are missing", "reorder": "delivery: out of order"}

LEAK_SECONDS = (40, 120, 240)
"""Memory kept per connection is judged from some thousands of connections on. A busy machine needs longer for them."""

LONGER = (1, 4, 16)
"""Factors: the other load tests run again, for longer, while they pass. A busy machine carries fewer messages."""


def run(faults, tmp_path_factory, *, longer=1, **more):
    """The exit code and the verdict of each fault. All servers and load tests run at once."""
    with ExitStack() as running:
        loads = {}
        for fault in faults:
            scenario, options, arguments = SCENARIOS[fault]
            folder = tmp_path_factory.mktemp(fault)
            server = running.enter_context(Server(folder, fault))
            options = {**options, **more}
            options["seconds"] *= longer
            load = Load(server.url, folder / "load", scenario, *arguments, **options)
            loads[fault] = running.enter_context(load)
        return {fault: load.verdict() for fault, load in loads.items()}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    outcomes, faults = {}, ("drop", "delay", "reorder")
    for longer in LONGER:
        outcomes |= run(faults, tmp_path_factory, longer=longer)
        faults = [fault for fault in faults if not is_detected(fault, outcomes[fault][1])]
    return outcomes | run_leak(tmp_path_factory)


def is_detected(fault, verdict):
    return REASONS[fault] in verdict["reasons"] if fault in REASONS else bool(breached(verdict))


def run_leak(tmp_path_factory):
    """The leak runs alone, since its connections need a core; and for longer if there were too few to be judged."""
    for seconds in LEAK_SECONDS:
        outcome = run(("leak",), tmp_path_factory, seconds=seconds)
        findings = {finding["objective"]: finding for finding in outcome["leak"][1]["findings"]}
        if findings["memory kept per closed connection"]["measured"] is not None:
            break
    return outcome


@pytest.mark.parametrize("fault", SCENARIOS)
def test_faulty_server_fails_the_load_test(judged, fault):
    code, verdict = judged[fault]
    assert code == 1
    assert breached(verdict)


def test_dropped_message_is_detected(judged):
    _, verdict = judged["drop"]
    assert verdict["reasons"][REASONS["drop"]] >= 1
    assert "failed operations" in breached(verdict)


def test_delayed_messages_breach_p99(judged):
    _, verdict = judged["delay"]
    assert "delivery, p99" in breached(verdict)
    assert verdict["reasons"] == {}


def test_leaked_sessions_breach_memory_limit(judged):
    _, verdict = judged["leak"]
    assert "memory kept per closed connection" in breached(verdict)
    assert verdict["reasons"] == {}


def test_reordered_messages_are_detected(judged):
    _, verdict = judged["reorder"]
    assert verdict["reasons"][REASONS["reorder"]] >= 1
    assert "failed operations" in breached(verdict)
