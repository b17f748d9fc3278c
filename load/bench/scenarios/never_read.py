"""The effect of clients that never read on the other clients."""

from __future__ import annotations

import time
from dataclasses import dataclass

from load.bench.dialects import Member
from load.bench.generator import LoadGenerator, NotReady
from load.bench.measurement import Shares, measure_while, percentile
from load.bench.process import ServerProcess
from load.bench.scenarios.fan_out import fill_room, sample_members
from load.bench.scenarios.scenario import PACE, Metric, Numbers, RoundSetup, Scenario
from load.bench.senders import LatencyRecorder, OpenLoop

_TIMEOUT = 120.0
_EVICTION_TIMEOUT = 30.0
_SAMPLED = 20
_MESSAGES_PER_SECOND = 64
_CONTENT_CHARS = 3900
"""250 kB per second for each member, in few messages: fills 1 MiB and the kernel's buffers in less than 10 s."""

_SEGMENT_BYTES = 1400
"""TCP segment size of the non-readers. With loopback's 64 KiB segments the kernel would buffer megabytes for each."""


@dataclass(frozen=True)
class _Outcome:
    p99: float
    """Milliseconds, of the readers."""
    memory: float
    """Growth of the server's memory at its peak, in megabytes."""
    evicted_after: float
    """Seconds until the last non-reader was disconnected."""
    pace: float
    shares: Shares


def _never_read(setup: RoundSetup) -> Numbers:
    reading, non_readers = (20, 3) if setup.is_quick else (900, 100)
    alone = _run_once(setup, reading, 0)
    together = _run_once(setup, reading, non_readers)
    return {
        "p99_alone": alone.p99,
        "p99": together.p99,
        "p99_ratio": together.p99 / alone.p99,
        "memory_alone": alone.memory,
        "memory": together.memory,
        "evicted": together.evicted_after,
        PACE: min(alone.pace, together.pace),
        **Shares.maximum([alone.shares, together.shares]).numbers(),
    }


def _run_once(setup: RoundSetup, reading: int, non_readers: int) -> _Outcome:
    latencies = LatencyRecorder()
    with setup.server_and_generator() as (server, generator):
        members = fill_room(generator, reading, _TIMEOUT)
        _join_non_readers(generator, reading, non_readers)
        sampled = sample_members(members, latencies, _SAMPLED)
        generator.read_promptly([*sampled, *members[:10]])
        open_loop = OpenLoop(members[:10], generator.dialect, _MESSAGES_PER_SECOND, _CONTENT_CHARS)
        generator.run(0.1, open_loop)
        latencies.is_on = True
        before, sent = server.memory_bytes(), open_loop.sent
        watch = _EvictionWatch(server, non_readers)
        # At least this long with and without non-readers, so that both percentiles have comparable samples.
        measurement = measure_while(
            server, generator, lambda: watch.run(generator, open_loop, at_least=setup.seconds * 2)
        )
        latencies.is_on = False
        peak = server.peak_memory_bytes() - before
        generator.check_no_member_lost()  # ignores non-readers, which are no longer polled
        delivered = measurement.deliveries + len(latencies.seconds)
    return _Outcome(
        p99=percentile(latencies.seconds, 99) * 1000,
        memory=peak / 1e6,
        evicted_after=watch.evicted_after,
        pace=delivered / ((open_loop.sent - sent) * reading),
        shares=measurement.shares,
    )


class _EvictionWatch:
    """Waits until the server has closed the sockets of `count` clients."""

    def __init__(self, server: ServerProcess, count: int) -> None:
        self.evicted_after = 0.0
        self._server = server
        self._descriptors_without = server.open_descriptors() - count
        self._count = count

    def run(self, generator: LoadGenerator, open_loop: OpenLoop, at_least: float) -> None:
        """Run the generator until all are closed, and for `at_least` seconds. Raises `NotReady`."""
        start = time.perf_counter()
        if self._count and not generator.run_until(lambda: self._still_connected() <= 0, _EVICTION_TIMEOUT, open_loop):
            raise NotReady(
                f"{self._still_connected()} of {self._count} non-readers were still connected", _EVICTION_TIMEOUT
            )
        self.evicted_after = time.perf_counter() - start
        generator.run(max(0.0, at_least - self.evicted_after), open_loop)

    def _still_connected(self) -> int:
        return self._server.open_descriptors() - self._descriptors_without


def _join_non_readers(generator: LoadGenerator, first: int, count: int) -> None:
    connections = generator.join(
        [Member(number, "room") for number in range(first, first + count)], _TIMEOUT, segment_bytes=_SEGMENT_BYTES
    )
    generator.settle(0.3, _TIMEOUT)
    for connection in connections:
        generator.stop_reading(connection)


NEVER_READ = Scenario(
    "never_read",
    "Non-readers: 100 of 1,000 members never read; one room, 64 messages of 3.9 kB per second",
    "How do clients that never read affect the others, how much memory do they cost, and how soon are they evicted?",
    (
        Metric("p99", "readers' latency p99, ms", "lower", 1),
        Metric("p99_alone", "the same without non-readers, ms", "lower", 1),
        Metric("p99_ratio", "p99 with non-readers ÷ without", "lower", 2),
        Metric("memory", "peak growth of server memory, MB", "lower", 1),
        Metric("memory_alone", "the same without non-readers, MB", "lower", 1),
        Metric("evicted", "all non-readers evicted after, s", "lower", 1),
    ),
    _never_read,
    is_for_peers=False,
)
