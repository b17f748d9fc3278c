"""Many small rooms: of one member, where the inbound path dominates, and of ten."""

from __future__ import annotations

from load.bench.dialects import Member
from load.bench.scenarios.closed_loop import measure_closed_loop
from load.bench.scenarios.scenario import Metric, Numbers, RoundSetup, Scenario

_JOIN_TIMEOUT = 60.0


def _small_rooms(setup: RoundSetup, rooms: int, size: int, window: int) -> Numbers:
    """Measure with one sender in each room."""
    with setup.server_and_generator() as (server, generator):
        all_members = [Member(number, f"room{number // size:03d}") for number in range(rooms * size)]
        members = generator.join(all_members, _JOIN_TIMEOUT)
        generator.settle(0.3, _JOIN_TIMEOUT)
        measurement = measure_closed_loop(setup, server, generator, members[::size], window)
    messages = measurement.deliveries // size
    return {
        "messages": messages / measurement.seconds,
        "deliveries": measurement.deliveries_per_second,
        "cpu": measurement.cpu_us_for_each(messages),
        **measurement.shares.numbers(),
    }


def _rooms_of_one(setup: RoundSetup) -> Numbers:
    return _small_rooms(setup, rooms=10 if setup.is_quick else 100, size=1, window=1)


def _rooms_of_ten(setup: RoundSetup) -> Numbers:
    return _small_rooms(setup, rooms=3 if setup.is_quick else 40, size=10, window=4)


ROOMS_OF_ONE = Scenario(
    "rooms_of_one",
    "Rooms of one: 100 clients, each alone in its room, one message in flight each",
    "What does the inbound path cost, from the socket to the room, plus one delivery back?",
    (
        Metric("cpu", "server CPU, µs per message", "lower", 1),
        Metric("messages", "messages/s", "higher"),
    ),
    _rooms_of_one,
)

ROOMS_OF_TEN = Scenario(
    "rooms_of_ten",
    "Rooms of ten: 40 rooms, one sender in each with 4 messages in flight",
    "What do small rooms cost, where members share little of a message's cost?",
    (
        Metric("deliveries", "deliveries/s", "higher"),
        Metric("cpu", "server CPU, µs per message to ten", "lower", 1),
    ),
    _rooms_of_ten,
)
