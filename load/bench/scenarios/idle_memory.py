"""What a member costs that only listens."""

from __future__ import annotations

from load.bench.crowd import Crowd
from load.bench.dialects import Member
from load.bench.process import ServerProcess
from load.bench.scenarios.scenario import Metric, Numbers, Run, Scenario

_WARM = 20
_ROOM_OF = 100
"""So large that a room's own memory does not count, so small that telling all of each who joins takes no time."""


def _memory(run: Run) -> Numbers:
    step = 100 if run.is_quick else 2000
    with run.server_and_crowd() as (server, crowd):
        _enter(crowd, 0, _WARM)
        sizes = [_resident(server, crowd)]
        for at in range(2):
            _enter(crowd, _WARM + at * step, step)
            sizes.append(_resident(server, crowd))
        crowd.check_nobody_lost()
    return {
        "first": (sizes[1] - sizes[0]) / step / 1000,
        "second": (sizes[2] - sizes[1]) / step / 1000,
    }


def _enter(crowd: Crowd, first: int, count: int) -> None:
    within = 20.0 + count / 20
    crowd.admit([Member(n, f"room{n // _ROOM_OF:03d}") for n in range(first, first + count)], within)
    crowd.settle(0.3, within)


def _resident(server: ServerProcess, crowd: Crowd) -> int:
    crowd.run(1.0)  # what a server tidies up after a login, it has tidied up by then
    return server.memory_bytes()


MEMORY = Scenario(
    "memory",
    "Memory of an idle member: HTTP/1.1, rooms of 100",
    "How many clients fit into a machine?",
    (
        Metric("first", "kB a member, 0 to 2,000", "lower", 1),
        Metric("second", "kB a member, 2,000 to 4,000", "lower", 1),
    ),
    _memory,
)
