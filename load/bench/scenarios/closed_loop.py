"""Senders that wait for their own messages: as fast as it goes."""

from __future__ import annotations

from collections.abc import Sequence

from load.bench.connection import Connection
from load.bench.generator import LoadGenerator
from load.bench.measurement import Measurement, measure
from load.bench.process import ServerProcess
from load.bench.scenarios.scenario import RoundSetup
from load.bench.senders import ClosedLoop

_MARKERS = 100
"""How many senders can be told apart; those of one room must be."""


def measure_closed_loop(
    setup: RoundSetup, server: ServerProcess, generator: LoadGenerator, sending: Sequence[Connection], window: int
) -> Measurement:
    """Let these members speak, each with `window` messages in flight, and measure once that runs."""
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
