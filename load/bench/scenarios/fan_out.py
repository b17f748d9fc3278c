"""Fan-out in one room of 200 members: at maximum throughput (saturated) and at a fixed rate (paced)."""

from __future__ import annotations

from load.bench.connection import Connection
from load.bench.dialects import Member
from load.bench.generator import LoadGenerator
from load.bench.measurement import measure, percentile
from load.bench.scenarios.closed_loop import measure_closed_loop
from load.bench.scenarios.scenario import PACE, Metric, Numbers, RoundSetup, Scenario
from load.bench.senders import LatencyRecorder, OpenLoop

_JOIN_TIMEOUT = 60.0
_SAMPLED = 5


def fill_room(generator: LoadGenerator, size: int, timeout: float = _JOIN_TIMEOUT) -> list[Connection]:
    """Join `size` members to one room, and wait until all notifications of joins have arrived."""
    members = generator.join([Member(number, "room") for number in range(size)], timeout)
    generator.settle(0.3, timeout)
    return members


def sample_members(members: list[Connection], latencies: LatencyRecorder, count: int = _SAMPLED) -> list[Connection]:
    """Record latencies at a few members, spread evenly over the order in which they joined."""
    count = min(count, len(members))
    sampled = [members[at * (len(members) - 1) // max(1, count - 1)] for at in range(count)]
    for member in sampled:
        member.watch(latencies)
    return sampled


def _saturated(setup: RoundSetup) -> Numbers:
    size, senders, window = (20, 4, 4) if setup.is_quick else (200, 10, 16)
    with setup.server_and_generator() as (server, generator):
        members = fill_room(generator, size)
        sending = [members[number * size // senders] for number in range(senders)]
        measurement = measure_closed_loop(setup, server, generator, sending, window)
    return {
        "deliveries": measurement.deliveries_per_second,
        "cpu": measurement.cpu_us_for_each(measurement.deliveries),
        **measurement.shares.numbers(),
    }


def _paced(setup: RoundSetup) -> Numbers:
    size, per_second = (20, 50) if setup.is_quick else (200, 50)
    latencies = LatencyRecorder()
    with setup.server_and_generator() as (server, generator):
        members = fill_room(generator, size)
        sampled = sample_members(members, latencies)
        generator.read_promptly([*sampled, *members[1:11]])
        open_loop = OpenLoop(members[1:11], generator.dialect, per_second)
        generator.run(setup.seconds / 4, open_loop)
        latencies.is_on = True
        sent = open_loop.sent
        measurement = measure(server, generator, setup.seconds, open_loop)
        latencies.is_on = False
        expected = (open_loop.sent - sent) * size
        deliveries = measurement.deliveries + len(latencies.seconds)  # sampled members do not count messages
        generator.check_no_member_lost()
    return {
        "cpu": measurement.cpu_us_for_each(deliveries),
        "p50": percentile(latencies.seconds, 50) * 1000,
        "p99": percentile(latencies.seconds, 99) * 1000,
        **measurement.shares.numbers(),
        PACE: deliveries / expected,
    }


SATURATED = Scenario(
    "fan_out",
    "Saturated fan-out: 200 members in one room, 10 of them senders, each with 16 messages in flight",
    "How many messages per second can a busy room deliver?",
    (
        Metric("deliveries", "deliveries/s", "higher"),
        Metric("cpu", "server CPU, µs per delivery", "lower", 2),
    ),
    _saturated,
)

PACED = Scenario(
    "paced",
    "Paced fan-out: 200 members in one room, 50 messages per second",
    "What are the cost and the latency of a delivery when the server is not saturated?",
    (
        Metric("cpu", "server CPU, µs per delivery", "lower", 2),
        Metric("p50", "latency p50, ms", "lower", 2),
        Metric("p99", "latency p99, ms", "lower", 2),
    ),
    _paced,
)
