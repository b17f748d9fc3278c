"""The cost of a delivery by the size of the room."""

from __future__ import annotations

from load.bench.dialects import RefusedByServer
from load.bench.generator import LostMembers, NotReady
from load.bench.measurement import Measurement, NothingDelivered, Shares, measure
from load.bench.scenarios.fan_out import fill_room
from load.bench.scenarios.scenario import PACE, Metric, Numbers, RoundSetup, Scenario
from load.bench.senders import OpenLoop

SIZES = (10, 100, 1000, 5000)
_QUICK_SIZES = (10, 100)
_DELIVERIES_PER_SECOND = 10_000
_JOIN_TIMEOUT = 180.0


def _room_size(setup: RoundSetup) -> Numbers:
    costs: dict[str, float] = {}
    shares: list[Shares] = []
    paces: list[float] = []
    for size in _QUICK_SIZES if setup.is_quick else SIZES:
        try:
            measurement, pace = _measure_size(setup, size)
            costs[f"of{size}"] = measurement.cpu_us_for_each(measurement.deliveries)
        except (LostMembers, NotReady, NothingDelivered, RefusedByServer) as error:
            setup.problems.append(f"{size:,} members: {error}")
            continue
        shares.append(measurement.shares)
        paces.append(pace)
    if not costs:
        return {}
    return {**costs, **Shares.maximum(shares).numbers(), PACE: min(paces)}


def _measure_size(setup: RoundSetup, size: int) -> tuple[Measurement, float]:
    """The measurement, and the share of sent messages that were delivered in time."""
    with setup.server_and_generator() as (server, generator):
        members = fill_room(generator, size, _JOIN_TIMEOUT)
        generator.read_promptly(members[:10])
        open_loop = OpenLoop(members[:10], generator.dialect, _DELIVERIES_PER_SECOND / size)
        generator.run(setup.seconds / 4, open_loop)
        sent = open_loop.sent
        # Twice as long as elsewhere: the largest room gets only two messages per second.
        measurement = measure(server, generator, setup.seconds * 2, open_loop)
        generator.check_no_member_lost()
        return measurement, measurement.deliveries / max(1, (open_loop.sent - sent) * size)


ROOM_SIZE = Scenario(
    "room_size",
    f"Cost by room size: one room, {_DELIVERIES_PER_SECOND:,} deliveries per second at each size",
    "Does the cost of a delivery depend on the size of the room?",
    tuple(Metric(f"of{size}", f"{size:,} members: server CPU, µs per delivery", "lower", 2) for size in SIZES),
    _room_size,
    is_for_peers=False,
)
