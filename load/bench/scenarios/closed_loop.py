"""Senders that wait for their own messages: as fast as it goes."""

from __future__ import annotations

from collections.abc import Sequence

from load.bench.connection import Connection
from load.bench.crowd import Crowd
from load.bench.measuring import Stretch, measure
from load.bench.process import ServerProcess
from load.bench.scenarios.scenario import Run
from load.bench.senders import ClosedLoop

_MARKERS = 100
"""How many senders can be told apart; those of one room must be."""


def measure_closed_loop(
    run: Run, server: ServerProcess, crowd: Crowd, speaking: Sequence[Connection], window: int
) -> Stretch:
    """Let these members speak, each with `window` messages in flight, and measure once that runs."""
    loops = [ClosedLoop(member, crowd.dialect, at % _MARKERS, window) for at, member in enumerate(speaking)]
    crowd.read_in_bulk_but(speaking)
    for loop in loops:
        loop.start()
    crowd.run(run.seconds / 4)
    stretch = measure(server, crowd, run.seconds)
    for loop in loops:
        loop.stop()
    crowd.check_nobody_lost()
    return stretch
