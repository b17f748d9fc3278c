"""Read-only requests (history, members): they may be sent out of order and repeated."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from chat_actors.client.errors import TooMuchUnsent
from chat_actors.protocol import Command, encode_command

MAX_QUERIES_IN_FLIGHT = 16
"""Bounds what is repeated after a rate-limit error: without a bound, every retry would exceed the limit again."""

MAX_QUERIES_OF_ROOM = 8
"""Of these, most for one room, so that a slow room leaves some to the others."""


class QueriedRoom(Protocol):
    """A room that is queried once the user is in it, because some rooms answer their members only."""

    @property
    def is_in(self) -> bool: ...

    @property
    def room_id(self) -> str: ...


class Queries:
    """The queries of all rooms without an answer, oldest first. No I/O.

    Attributes:
        is_paused: Whether none is sent until `resume`.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self.is_paused = False
        self._unanswered: dict[str, tuple[QueriedRoom, Command]] = {}
        self._in_flight: set[str] = set()
        self._paused_rooms: set[QueriedRoom] = set()

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._unanswered

    def add(self, request_id: str, room: QueriedRoom, command: Command) -> None:
        """Raises `TooMuchUnsent`, and `ValueError` if a string is not valid Unicode."""
        if len(self._unanswered) >= self._maximum:
            raise TooMuchUnsent(self._maximum)
        encode_command(command)  # raise for the caller now
        self._unanswered[request_id] = room, command

    def remove(self, request_id: str) -> None:
        """Remove a query that was answered or cancelled. No effect if it is not there."""
        self._unanswered.pop(request_id, None)
        self._in_flight.discard(request_id)

    def remove_room(self, room: QueriedRoom) -> Sequence[str]:
        """Remove the queries of a room. Returns their ids."""
        removed = [request_id for request_id, (its_room, _) in self._unanswered.items() if its_room is room]
        for request_id in removed:
            self.remove(request_id)
        self._paused_rooms.discard(room)
        return removed

    def has_room(self, room: QueriedRoom) -> bool:
        return any(its_room is room for its_room, _ in self._unanswered.values())

    def resume(self) -> None:
        """Send the queries in flight again, because they or their answers were lost."""
        self.is_paused = False
        self._in_flight.clear()
        self._paused_rooms.clear()

    def pause_room_of(self, request_id: str) -> str | None:
        """A query was refused for now: send none of its room until `resume_room`. Returns the room, if this is new."""
        room, _ = self._unanswered[request_id]
        self._in_flight.discard(request_id)
        if room in self._paused_rooms:
            return None
        self._paused_rooms.add(room)
        return room.room_id

    def resume_room(self, room: QueriedRoom) -> None:
        self._paused_rooms.discard(room)

    def take_unsent(self) -> Sequence[Command]:
        """Return the queries to send now, and mark them as sent."""
        if self.is_paused or not self._unanswered:
            return ()
        unsent = list(itertools.islice(self._sendable(), MAX_QUERIES_IN_FLIGHT - len(self._in_flight)))
        self._in_flight.update(unsent)
        return [self._unanswered[request_id][1] for request_id in unsent]

    def _sendable(self) -> Iterator[str]:
        of_room = Counter(self._unanswered[request_id][0] for request_id in self._in_flight)
        for request_id, (room, _) in self._unanswered.items():
            is_free = of_room[room] < MAX_QUERIES_OF_ROOM and room.is_in and room not in self._paused_rooms
            if is_free and request_id not in self._in_flight:
                of_room[room] += 1
                yield request_id
