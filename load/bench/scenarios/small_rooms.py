"""Many small rooms: of one member, where all is the way in, and of ten."""

from __future__ import annotations

from load.bench.dialects import Member
from load.bench.scenarios.closed_loop import measure_closed_loop
from load.bench.scenarios.scenario import Metric, Numbers, Run, Scenario

_ENTER_WITHIN = 60.0


def _small_rooms(run: Run, rooms: int, size: int, window: int) -> Numbers:
    """One sender in each room."""
    with run.server_and_crowd() as (server, crowd):
        everybody = [Member(number, f"room{number // size:03d}") for number in range(rooms * size)]
        members = crowd.admit(everybody, _ENTER_WITHIN)
        crowd.settle(0.3, _ENTER_WITHIN)
        stretch = measure_closed_loop(run, server, crowd, members[::size], window)
    messages = stretch.deliveries // size
    return {
        "messages": messages / stretch.seconds,
        "deliveries": stretch.deliveries_per_second,
        "cpu": stretch.cpu_us_for_each(messages),
        **stretch.shares.numbers(),
    }


def _rooms_of_one(run: Run) -> Numbers:
    return _small_rooms(run, rooms=10 if run.is_quick else 100, size=1, window=1)


def _rooms_of_ten(run: Run) -> Numbers:
    return _small_rooms(run, rooms=3 if run.is_quick else 40, size=10, window=4)


ROOMS_OF_ONE = Scenario(
    "rooms_of_one",
    "Rooms of one: 100 clients, each alone in its room, one message in flight each",
    "What does the way in cost, from the socket to the room and one delivery back?",
    (
        Metric("cpu", "server CPU, µs a message", "lower", 1),
        Metric("messages", "messages/s", "higher"),
    ),
    _rooms_of_one,
)

ROOMS_OF_TEN = Scenario(
    "rooms_of_ten",
    "Rooms of ten: 40 rooms, one sender in each with 4 messages in flight",
    "What do small rooms cost, where there is little to share between members?",
    (
        Metric("deliveries", "deliveries/s", "higher"),
        Metric("cpu", "server CPU, µs a message to ten", "lower", 1),
    ),
    _rooms_of_ten,
)
