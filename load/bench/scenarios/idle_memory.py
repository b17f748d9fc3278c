"""The memory of an idle member."""

from __future__ import annotations

from load.bench.dialects import Member
from load.bench.generator import LoadGenerator
from load.bench.process import ServerProcess
from load.bench.scenarios.scenario import Metric, Numbers, RoundSetup, Scenario

_WARM_UP_MEMBERS = 20
_ROOM_SIZE = 100
"""Large enough to make a room's own memory negligible, small enough that notifications of joins cost little."""


def _memory(setup: RoundSetup) -> Numbers:
    step = 100 if setup.is_quick else 2000
    with setup.server_and_generator() as (server, generator):
        _join(generator, 0, _WARM_UP_MEMBERS)
        sizes = [_resident(server, generator)]
        for at in range(2):
            _join(generator, _WARM_UP_MEMBERS + at * step, step)
            sizes.append(_resident(server, generator))
        generator.check_no_member_lost()
    return {
        "first": (sizes[1] - sizes[0]) / step / 1000,
        "second": (sizes[2] - sizes[1]) / step / 1000,
    }


def _join(generator: LoadGenerator, first: int, count: int) -> None:
    timeout = 20.0 + count / 20
    generator.join([Member(n, f"room{n // _ROOM_SIZE:03d}") for n in range(first, first + count)], timeout)
    generator.settle(0.3, timeout)


def _resident(server: ServerProcess, generator: LoadGenerator) -> int:
    generator.run(1.0)  # gives the server time to clean up after the logins
    return server.memory_bytes()


MEMORY = Scenario(
    "memory",
    "Memory of an idle member: HTTP/1.1, rooms of 100",
    "How many clients fit on a machine?",
    (
        Metric("first", "kB per member, 0 to 2,000", "lower", 1),
        Metric("second", "kB per member, 2,000 to 4,000", "lower", 1),
    ),
    _memory,
)
