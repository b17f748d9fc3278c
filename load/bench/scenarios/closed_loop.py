"""Measures the maximum throughput with closed-loop senders."""

from __future__ import annotations

from collections.abc import Sequence

from load.bench.connection import Connection
from load.bench.generator import LoadGenerator
from load.bench.measurement import Measurement, measure
from load.bench.process import ServerProcess
from load.bench.scenarios.scenario import RoundSetup
from load.bench.senders import ClosedLoop

_MARKERS = 100
"""Number of distinct sender markers. Senders in the same room must have different ones."""


def measure_closed_loop(
    setup: RoundSetup, server: ServerProcess, generator: LoadGenerator, sending: Sequence[Connection], window: int
) -> Measurement:
    """Let these members send, each with `window` messages in flight. Measures after a warm-up."""
    loops = [ClosedLoop(member, generator.dialect, at % _MARKERS, window) for at, member in enumerate(sending)]
    generator.read_promptly(sending)
    for loop in loops:
        loop.start()
    generator.run(setup.seconds / 4)
    measurement = measure(server, generator, setup.seconds)
    for loop in loops:
        loop.stop()
    generator.check_no_member_lost()
    return measurement
