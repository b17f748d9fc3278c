"""The memory of an idle client by the number of its rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from load.bench.dialects import ChatActors, Member
from load.bench.generator import LoadGenerator
from load.bench.scenarios.scenario import Metric, Numbers, RoundSetup, Scenario

_WARM_UP_CLIENTS = 20
_ROOMS = 20


def _memory(setup: RoundSetup) -> Numbers:
    return {
        "one": _kilobytes(setup, lambda n: ["room00"]),
        "shared": _kilobytes(setup, lambda n: [f"room{k:02d}" for k in range(_ROOMS)]),
        "own": _kilobytes(setup, lambda n: [f"room{n:05d}-{k:02d}" for k in range(_ROOMS)]),
    }


def _kilobytes(setup: RoundSetup, rooms_of: Callable[[int], Sequence[str]]) -> float:
    """The memory of a client in the rooms that `rooms_of` gives for its number."""
    clients = 50 if setup.is_quick else 500
    with setup.server_and_generator() as (server, generator):
        _connect(setup, generator, range(_WARM_UP_CLIENTS), rooms_of)
        before = server.memory_bytes()
        _connect(setup, generator, range(_WARM_UP_CLIENTS, _WARM_UP_CLIENTS + clients), rooms_of)
        generator.check_no_member_lost()
        return (server.memory_bytes() - before) / clients / 1000


def _connect(
    setup: RoundSetup, generator: LoadGenerator, numbers: range, rooms_of: Callable[[int], Sequence[str]]
) -> None:
    dialect = setup.dialect
    if not isinstance(dialect, ChatActors):
        raise TypeError("only chat_actors has several rooms on one connection")
    timeout = 60.0 + len(numbers)
    scripts = [dialect.join_all_script(Member(n, ""), rooms_of(n)) for n in numbers]
    generator.run_scripts(scripts, timeout)
    generator.settle(0.3, timeout)
    generator.run(1.0)  # gives the server time to clean up after the logins


SEVERAL_ROOMS = Scenario(
    "several_rooms",
    "Memory of an idle client by its rooms: HTTP/1.1, 500 clients",
    "What do more rooms on one connection cost?",
    (
        Metric("one", "kB per client, in one room", "lower", 1),
        Metric("shared", f"kB per client, in {_ROOMS} rooms that all share", "lower", 1),
        Metric("own", f"kB per client, in {_ROOMS} rooms of its own", "lower", 1),
    ),
    _memory,
    is_for_peers=False,
)
