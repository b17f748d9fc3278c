"""What happened to a server, and to the generator, in a stretch of time."""

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
    """Of the time that was measured, which part of it somebody had a core."""

    generator: float
    """The generator its own; near 1, the numbers are the generator's and not the server's."""
    server: float
    """The server and its children theirs; near 1, it was saturated."""
    disturbed: float
    """Something else the server's or the generator's, while that one wanted to run."""

    def numbers(self) -> dict[str, float]:
        return {GENERATOR: self.generator, SERVER: self.server, DISTURBED: self.disturbed}

    @classmethod
    def maximum(cls, shares: Sequence[Shares]) -> Shares:
        return cls(*(max(getattr(one, name) for one in shares) for name in (GENERATOR, SERVER, DISTURBED)))


@dataclass(frozen=True)
class Measurement:
    """One measured stretch of time."""

    seconds: float
    deliveries: int
    server_cpu: float
    """Seconds of processor time of the server and its children."""
    shares: Shares

    @property
    def deliveries_per_second(self) -> float:
        return self.deliveries / self.seconds

    def cpu_us_for_each(self, count: int) -> float:
        """Microseconds of server CPU for each of so many. Raises `NothingDelivered` for none."""
        if not count:
            raise NothingDelivered
        return self.server_cpu / count * 1e6


class NothingDelivered(Exception):
    """Nothing arrived in the stretch, so there is nothing to divide by."""

    def __str__(self) -> str:
        return "nothing was delivered while it was measured"


def measure(
    server: ServerProcess, generator: LoadGenerator, seconds: float, timer: Callable[[], float] | None = None
) -> Measurement:
    """Go on for so long, and say what happened meanwhile. Raises `ServerFailed`, `LostMembers`."""
    return measure_while(server, generator, lambda: generator.run(seconds, timer))


def measure_while(server: ServerProcess, generator: LoadGenerator, act: Callable[[], object]) -> Measurement:
    """Do this, and say what happened meanwhile. Raises as `measure` does."""
    with no_garbage_collection():
        before = _Snapshot.now(server, generator)
        act()
        after = _Snapshot.now(server, generator)
    server.check_alive()
    return before.difference_to(after)


@dataclass(frozen=True)
class _Snapshot:
    """Where all the clocks and counters stand."""

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
            deliveries=generator.chats,
            server_cpu=server.cpu_seconds(),
            server_run_delay=server.run_delay_seconds(),
            own_cpu=time.process_time(),
            own_run_delay=run_delay_seconds(os.getpid()),
        )

    def difference_to(self, later: _Snapshot) -> Measurement:
        seconds = later.at - self.at
        server_cpu = later.server_cpu - self.server_cpu
        waited = max(later.server_run_delay - self.server_run_delay, later.own_run_delay - self.own_run_delay)
        shares = Shares((later.own_cpu - self.own_cpu) / seconds, server_cpu / seconds, waited / seconds)
        return Measurement(seconds, later.deliveries - self.deliveries, server_cpu, shares)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """The generator's own pauses shall not be taken for the server's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def percentile(values: Sequence[float], percent: int) -> float:
    """Raises `NothingDelivered` for fewer than two values."""
    if len(values) < 2:
        raise NothingDelivered
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
