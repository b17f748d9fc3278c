"""What those who never read cost the others."""

from __future__ import annotations

import time
from dataclasses import dataclass

from load.bench.crowd import Crowd, NotReady
from load.bench.dialects import Member
from load.bench.measuring import Shares, measure_while, percentile
from load.bench.process import ServerProcess
from load.bench.scenarios.fan_out import fill_one_room, watch_some
from load.bench.scenarios.scenario import PACE, Metric, Numbers, Run, Scenario
from load.bench.senders import Latencies, Pacer

_WITHIN = 120.0
_GONE_WITHIN = 30.0
_WATCHED = 20
_MESSAGES_PER_SECOND = 64
_CONTENT_CHARS = 3900
"""250 kB a second for each member, in few messages: what 1 MiB and the kernel hold is full in less than 10 seconds."""

_SEGMENT_BYTES = 1400
"""As on a network, for those who never read: loopback's long segments would let the kernel take megabytes for each."""


@dataclass(frozen=True)
class _Outcome:
    p99: float
    """Milliseconds, of those who read."""
    memory: float
    """Megabytes, by how much the server's had grown at its peak."""
    gone_after: float
    """Seconds until the last of those who never read was gone."""
    pace: float
    shares: Shares


def _never_read(run: Run) -> Numbers:
    reading, silent = (20, 3) if run.is_quick else (900, 100)
    alone = _run_once(run, reading, 0)
    together = _run_once(run, reading, silent)
    return {
        "p99_alone": alone.p99,
        "p99": together.p99,
        "p99_ratio": together.p99 / alone.p99,
        "memory_alone": alone.memory,
        "memory": together.memory,
        "gone": together.gone_after,
        PACE: min(alone.pace, together.pace),
        **Shares.greatest([alone.shares, together.shares]).numbers(),
    }


def _run_once(run: Run, reading: int, silent: int) -> _Outcome:
    latencies = Latencies()
    with run.server_and_crowd() as (server, crowd):
        members = fill_one_room(crowd, reading, _WITHIN)
        _admit_silent(crowd, reading, silent)
        watched = watch_some(members, latencies, _WATCHED)
        crowd.read_in_bulk_but([*watched, *members[:10]])
        pacer = Pacer(members[:10], crowd.dialect, _MESSAGES_PER_SECOND, _CONTENT_CHARS)
        crowd.run(0.1, pacer)
        latencies.is_on = True
        before, sent = server.memory_bytes(), pacer.sent
        watch = _Departures(server, silent)
        # As long in both situations: moments of the same kind shall count alike.
        stretch = measure_while(server, crowd, lambda: watch.run(crowd, pacer, at_least=run.seconds * 2))
        latencies.is_on = False
        peak = server.peak_memory_bytes() - before
        crowd.check_nobody_lost()  # those who never read are not looked at here
        delivered = stretch.deliveries + len(latencies.seconds)
    return _Outcome(
        p99=percentile(latencies.seconds, 99) * 1000,
        memory=peak / 1e6,
        gone_after=watch.gone_after,
        pace=delivered / ((pacer.sent - sent) * reading),
        shares=stretch.shares,
    )


class _Departures:
    """Waits until the server has let go of the sockets of so many clients."""

    def __init__(self, server: ServerProcess, count: int) -> None:
        self.gone_after = 0.0
        self._server = server
        self._left_then = server.open_sockets() - count
        self._count = count

    def run(self, crowd: Crowd, pacer: Pacer, at_least: float) -> None:
        """Raises `NotReady`."""
        start = time.perf_counter()
        if self._count and not crowd.run_until(lambda: self._still_there() <= 0, _GONE_WITHIN, pacer):
            raise NotReady(f"{self._still_there()} of {self._count} who never read were still connected", _GONE_WITHIN)
        self.gone_after = time.perf_counter() - start
        crowd.run(max(0.0, at_least - self.gone_after), pacer)

    def _still_there(self) -> int:
        return self._server.open_sockets() - self._left_then


def _admit_silent(crowd: Crowd, first: int, count: int) -> None:
    entered = crowd.admit(
        [Member(number, "room") for number in range(first, first + count)], _WITHIN, segment_bytes=_SEGMENT_BYTES
    )
    crowd.settle(0.3, _WITHIN)
    for connection in entered:
        crowd.stop_reading(connection)


NEVER_READ = Scenario(
    "never_read",
    "100 of 1,000 never read: one room, 64 messages of 3.9 kB a second",
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
