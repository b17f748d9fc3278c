"""What a delivery costs as a room grows."""

from __future__ import annotations

from load.bench.crowd import LostMembers, NotReady
from load.bench.dialects import RefusedByServer
from load.bench.measuring import NothingDelivered, Shares, Stretch, measure
from load.bench.scenarios.fan_out import fill_one_room
from load.bench.scenarios.scenario import PACE, Metric, Numbers, Run, Scenario
from load.bench.senders import Pacer

SIZES = (10, 100, 1000, 5000)
_QUICK_SIZES = (10, 100)
_DELIVERIES_PER_SECOND = 10_000
_ENTER_WITHIN = 180.0


def _room_size(run: Run) -> Numbers:
    costs: dict[str, float] = {}
    shares: list[Shares] = []
    paces: list[float] = []
    for size in _QUICK_SIZES if run.is_quick else SIZES:
        try:
            stretch, pace = _one_size(run, size)
            costs[f"of{size}"] = stretch.cpu_us_for_each(stretch.deliveries)
        except (LostMembers, NotReady, NothingDelivered, RefusedByServer) as error:
            run.problems.append(f"{size:,} members: {error}")
            continue
        shares.append(stretch.shares)
        paces.append(pace)
    if not costs:
        return {}
    return {**costs, **Shares.greatest(shares).numbers(), PACE: min(paces)}


def _one_size(run: Run, size: int) -> tuple[Stretch, float]:
    """What happened, and the share of what was sent that was delivered."""
    with run.server_and_crowd() as (server, crowd):
        members = fill_one_room(crowd, size, _ENTER_WITHIN)
        crowd.read_in_bulk_but(members[:10])
        pacer = Pacer(members[:10], crowd.dialect, _DELIVERIES_PER_SECOND / size)
        crowd.run(run.seconds / 4, pacer)
        sent = pacer.sent
        # Twice as long as elsewhere: the largest room gets two messages a second.
        stretch = measure(server, crowd, run.seconds * 2, pacer)
        crowd.check_nobody_lost()
        return stretch, stretch.deliveries / max(1, (pacer.sent - sent) * size)


ROOM_SIZE = Scenario(
    "room_size",
    f"Cost by room size: one room, {_DELIVERIES_PER_SECOND:,} deliveries a second whatever its size",
    "Does a delivery stay as cheap when a room grows?",
    tuple(Metric(f"of{size}", f"{size:,} members: server CPU, µs a delivery", "lower", 2) for size in SIZES),
    _room_size,
    is_for_peers=False,
)
