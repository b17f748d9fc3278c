"""One room of 200: as fast as it goes, and at a steady pace."""

from __future__ import annotations

from load.bench.connection import Connection
from load.bench.crowd import Crowd
from load.bench.dialects import Member
from load.bench.measuring import measure, percentile
from load.bench.scenarios.closed_loop import measure_closed_loop
from load.bench.scenarios.scenario import PACE, Metric, Numbers, Run, Scenario
from load.bench.senders import Latencies, Pacer

_ENTER_WITHIN = 60.0
_WATCHED = 5


def fill_one_room(crowd: Crowd, size: int, within: float = _ENTER_WITHIN) -> list[Connection]:
    """So many members in one room, and nothing coming in any more."""
    members = crowd.admit([Member(number, "room") for number in range(size)], within)
    crowd.settle(0.3, within)
    return members


def watch_some(members: list[Connection], latencies: Latencies, count: int = _WATCHED) -> list[Connection]:
    """Let a handful, spread evenly over the order in which they came in, tell how long messages took."""
    count = min(count, len(members))
    watched = [members[at * (len(members) - 1) // max(1, count - 1)] for at in range(count)]
    for member in watched:
        member.watch(latencies)
    return watched


def _saturated(run: Run) -> Numbers:
    size, senders, window = (20, 4, 4) if run.is_quick else (200, 10, 16)
    with run.server_and_crowd() as (server, crowd):
        members = fill_one_room(crowd, size)
        speaking = [members[number * size // senders] for number in range(senders)]
        stretch = measure_closed_loop(run, server, crowd, speaking, window)
    return {
        "deliveries": stretch.deliveries_per_second,
        "cpu": stretch.cpu_us_for_each(stretch.deliveries),
        **stretch.shares.numbers(),
    }


def _paced(run: Run) -> Numbers:
    size, per_second = (20, 50) if run.is_quick else (200, 50)
    latencies = Latencies()
    with run.server_and_crowd() as (server, crowd):
        members = fill_one_room(crowd, size)
        watched = watch_some(members, latencies)
        crowd.read_in_bulk_but([*watched, *members[1:11]])
        pacer = Pacer(members[1:11], crowd.dialect, per_second)
        crowd.run(run.seconds / 4, pacer)
        latencies.is_on = True
        sent = pacer.sent
        stretch = measure(server, crowd, run.seconds, pacer)
        latencies.is_on = False
        wanted = (pacer.sent - sent) * size
        deliveries = stretch.deliveries + len(latencies.seconds)  # those who are watched do not count
        crowd.check_nobody_lost()
    return {
        "cpu": stretch.cpu_us_for_each(deliveries),
        "p50": percentile(latencies.seconds, 50) * 1000,
        "p99": percentile(latencies.seconds, 99) * 1000,
        **stretch.shares.numbers(),
        PACE: deliveries / wanted,
    }


SATURATED = Scenario(
    "fan_out",
    "Saturated fan-out: 200 members in one room, 10 of them senders, each with 16 messages in flight",
    "How many messages a second can a busy room deliver?",
    (
        Metric("deliveries", "deliveries/s", "higher"),
        Metric("cpu", "server CPU, µs a delivery", "lower", 2),
    ),
    _saturated,
)

PACED = Scenario(
    "paced",
    "Paced fan-out: 200 members in one room, 50 messages a second",
    "What does a delivery cost when there is time, and how long does it take?",
    (
        Metric("cpu", "server CPU, µs a delivery", "lower", 2),
        Metric("p50", "latency p50, ms", "lower", 2),
        Metric("p99", "latency p99, ms", "lower", 2),
    ),
    _paced,
)
