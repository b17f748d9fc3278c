"""What happened to a server, and to the generator, in a stretch of time."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from load.bench.crowd import Crowd
from load.bench.process import ServerProcess


@dataclass(frozen=True)
class Stretch:
    """One measured stretch of time."""

    seconds: float
    deliveries: int
    server_cpu: float
    """Seconds of processor time of the server and its children."""
    generator_share: float
    """Of its core's time, how much the generator used; near 1, the numbers are the generator's and not the server's."""

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
    server: ServerProcess, crowd: Crowd, seconds: float, timer: Callable[[], float] | None = None
) -> Stretch:
    """Go on for so long, and say what happened meanwhile. Raises `ServerFailed`, `LostMembers`."""
    return measure_while(server, crowd, lambda: crowd.run(seconds, timer))


def measure_while(server: ServerProcess, crowd: Crowd, act: Callable[[], object]) -> Stretch:
    """Do this, and say what happened meanwhile. Raises as `measure` does."""
    with no_garbage_collection():
        deliveries, cpu, own, start = crowd.chats, server.cpu_seconds(), time.process_time(), time.perf_counter()
        act()
        taken = time.perf_counter() - start
        stretch = Stretch(
            seconds=taken,
            deliveries=crowd.chats - deliveries,
            server_cpu=server.cpu_seconds() - cpu,
            generator_share=(time.process_time() - own) / taken,
        )
    server.check_alive()
    return stretch


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
