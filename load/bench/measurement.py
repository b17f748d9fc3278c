"""Measures a server and the generator over a period of time."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from load.bench.generator import LoadGenerator
from load.bench.process import ServerProcess, run_delay_seconds

GENERATOR, SERVER, DISTURBED = "generator", "server", "disturbed"
"""The keys of `Shares` among a scenario's numbers."""


@dataclass(frozen=True)
class Shares:
    """The use of the two cores, as shares of the measured time."""

    generator: float
    """Share in which the generator ran. Near 1, the numbers show the generator's limit, not the server's."""
    server: float
    """Share in which the server and its children ran. Near 1, the server was saturated."""
    disturbed: float
    """Share in which another process ran while the server or the generator was ready to run."""

    def numbers(self) -> dict[str, float]:
        return {GENERATOR: self.generator, SERVER: self.server, DISTURBED: self.disturbed}

    @classmethod
    def maximum(cls, shares: Sequence[Shares]) -> Shares:
        return cls(*(max(getattr(one, name) for one in shares) for name in (GENERATOR, SERVER, DISTURBED)))


@dataclass(frozen=True)
class Measurement:
    """The measurement of one period."""

    seconds: float
    deliveries: int
    server_cpu: float
    """CPU seconds of the server and its children."""
    shares: Shares

    @property
    def deliveries_per_second(self) -> float:
        return self.deliveries / self.seconds

    def cpu_us_for_each(self, count: int) -> float:
        """Server CPU in microseconds for each of `count` items. Raises `NothingDelivered` if `count` is 0."""
        if not count:
            raise NothingDelivered
        return self.server_cpu / count * 1e6


class NothingDelivered(Exception):
    """Nothing was delivered, so costs and percentiles are undefined."""

    def __str__(self) -> str:
        return "nothing was delivered during the measurement"


def measure(
    server: ServerProcess, generator: LoadGenerator, seconds: float, timer: Callable[[], float] | None = None
) -> Measurement:
    """Run the generator for `seconds` and measure. Raises `ServerFailed`."""
    return measure_while(server, generator, lambda: generator.run(seconds, timer))


def measure_while(server: ServerProcess, generator: LoadGenerator, act: Callable[[], object]) -> Measurement:
    """Measure while `act` runs. Raises `ServerFailed`, and what `act` raises."""
    with no_garbage_collection():
        before = _Snapshot.now(server, generator)
        act()
        after = _Snapshot.now(server, generator)
    server.check_alive()
    return before.difference_to(after)


@dataclass(frozen=True)
class _Snapshot:
    """The clocks and counters at one moment."""

    at: float
    deliveries: int
    server_cpu: float
    server_run_delay: float
    own_cpu: float
    own_run_delay: float

    @classmethod
    def now(cls, server: ServerProcess, generator: LoadGenerator) -> _Snapshot:
        return cls(
            at=time.perf_counter(),
            deliveries=generator.deliveries,
            server_cpu=server.cpu_seconds(),
            server_run_delay=server.run_delay_seconds(),
            own_cpu=time.process_time(),
            own_run_delay=run_delay_seconds(os.getpid()),
        )

    def difference_to(self, later: _Snapshot) -> Measurement:
        seconds = later.at - self.at
        server_cpu = later.server_cpu - self.server_cpu
        run_delay = max(later.server_run_delay - self.server_run_delay, later.own_run_delay - self.own_run_delay)
        shares = Shares((later.own_cpu - self.own_cpu) / seconds, server_cpu / seconds, run_delay / seconds)
        return Measurement(seconds, later.deliveries - self.deliveries, server_cpu, shares)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Disable garbage collection, so that the generator's pauses do not appear as the server's latency."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def percentile(values: Sequence[float], percent: int) -> float:
    """The percentile of the values. Raises `NothingDelivered` for fewer than two."""
    if len(values) < 2:
        raise NothingDelivered
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
