"""What those who never read cost the others."""

from __future__ import annotations

import time

from load.bench.crowd import Crowd, NotReady
from load.bench.dialects import Member
from load.bench.measuring import measure_while, percentile
from load.bench.scenarios.fan_out import fill_one_room, watch_some
from load.bench.scenarios.scenario import GENERATOR, Metric, Numbers, Run, Scenario
from load.bench.senders import Latencies, Pacer

_WITHIN = 120.0
_GONE_WITHIN = 30.0
_MESSAGES_PER_SECOND = 100
_CONTENT_CHARS = 2500
"""250 kB a second for each member: a bound of 1 MiB is full in a few seconds."""

_SEGMENT_BYTES = 1400
"""As on a network, for those who never read: loopback's long segments would let the kernel take megabytes for each."""


def _never_read(run: Run) -> Numbers:
    reading, silent = (20, 3) if run.is_quick else (900, 100)
    alone = _run_once(run, reading, 0)
    together = _run_once(run, reading, silent)
    return {
        "p99_alone": alone["p99"],
        "p99": together["p99"],
        "p99_ratio": together["p99"] / alone["p99"],
        "memory_alone": alone["memory"],
        "memory": together["memory"],
        "gone": together["gone"],
        GENERATOR: max(alone[GENERATOR], together[GENERATOR]),
    }


def _run_once(run: Run, reading: int, silent: int) -> Numbers:
    latencies = Latencies()
    with run.server_and_crowd() as (server, crowd):
        members = fill_one_room(crowd, reading, _WITHIN)
        _admit_silent(crowd, reading, silent)
        watched = watch_some(members, latencies, 20)
        crowd.read_in_bulk_but([*watched, *members[:10]])
        pacer = Pacer(members[:10], crowd.dialect, _MESSAGES_PER_SECOND, _CONTENT_CHARS)
        crowd.run(0.1, pacer)
        latencies.is_on = True
        before, sockets, start = server.memory_bytes(), server.open_sockets(), time.perf_counter()

        def until_gone() -> None:
            is_gone = crowd.run_until(lambda: server.open_sockets() <= sockets - silent, _GONE_WITHIN, pacer)
            if not is_gone:
                left = server.open_sockets() - (sockets - silent)
                raise NotReady(f"{left} of {silent} who never read were still connected", _GONE_WITHIN)

        def act() -> None:
            if silent:
                until_gone()
            nonlocal gone
            gone = time.perf_counter() - start
            # As long in both situations, at least: the same kind of moment shall count alike.
            crowd.run(max(0.0, run.seconds * 2 - gone), pacer)

        gone = 0.0
        stretch = measure_while(server, crowd, act)
        latencies.is_on = False
        peak = server.peak_memory_bytes() - before
    return {
        "p99": percentile(latencies.seconds, 99) * 1000,
        "memory": peak / 1e6,
        "gone": gone,
        GENERATOR: stretch.generator_share,
    }


def _admit_silent(crowd: Crowd, first: int, count: int) -> None:
    entered = crowd.admit(
        [Member(number, "room") for number in range(first, first + count)], _WITHIN, segment_bytes=_SEGMENT_BYTES
    )
    crowd.settle(0.3, _WITHIN)
    for connection in entered:
        crowd.stop_reading(connection)


NEVER_READ = Scenario(
    "never_read",
    "100 of 1,000 never read: one room, 100 messages of 2.5 kB a second",
    "What do the others feel of them, what do they cost, and how soon are they gone?",
    (
        Metric("p99", "others' latency p99, ms", "lower", 1),
        Metric("p99_alone", "the same without them, ms", "lower", 1),
        Metric("p99_ratio", "p99 with them ÷ without", "lower", 2),
        Metric("memory", "server's memory, growth at its peak, MB", "lower", 1),
        Metric("memory_alone", "the same without them, MB", "lower", 1),
        Metric("gone", "all gone after, s", "lower", 1),
    ),
    _never_read,
    is_for_peers=False,
)
