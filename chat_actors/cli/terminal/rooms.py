"""The user's rooms as the terminal shows them: the current one, connection states, and unread counts. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from chat_actors.cli.terminal.timeline import Timeline


class Connected(msgspec.Struct, frozen=True):
    pass


class Disconnected(msgspec.Struct, frozen=True):
    """The connection is lost; the next attempt is in `seconds`."""

    seconds: float
    why: str


class Closed(msgspec.Struct, frozen=True):
    """The room is closed or has removed the user. The client does not rejoin."""

    why: str


ConnectionState: TypeAlias = Connected | Disconnected | Closed


class OpenRoom:
    """One room as the user sees it."""

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.timeline = Timeline()
        self.connection: ConnectionState = Connected()
        self.unread = 0
        self.members: Sequence[str] = ()
        """Of a very large room, only some."""
        self.count: int | None = None
        """The number of members; None before it is known."""


class Rooms:
    """The open rooms in the order of joining. One of them is the current room."""

    def __init__(self, first: OpenRoom) -> None:
        self._rooms = {first.room_id: first}
        self._current = first.room_id

    @property
    def current(self) -> OpenRoom:
        return self._rooms[self._current]

    @property
    def all(self) -> Sequence[OpenRoom]:
        return list(self._rooms.values())

    @property
    def unread_elsewhere(self) -> int:
        """Unread messages of the other rooms."""
        return sum(room.unread for room in self._rooms.values() if room is not self.current)

    def open(self, room: OpenRoom) -> None:
        """Add a room, or replace the one with its id, and make it the current one."""
        self._rooms[room.room_id] = room
        self._current = room.room_id

    def switch(self, room_id: str) -> bool:
        """Make a room the current one. Returns False if the user is not in it."""
        if room_id not in self._rooms:
            return False
        self._current = room_id
        return True

    def step(self, by: int) -> None:
        """Switch to the next (1) or previous (-1) room, cyclically."""
        ids = list(self._rooms)
        self._current = ids[(ids.index(self._current) + by) % len(ids)]

    def close(self, room_id: str) -> bool:
        """Remove a room. Returns False if it is not open or the only one, which stays."""
        if room_id not in self._rooms or len(self._rooms) == 1:
            return False
        if room_id == self._current:
            self.step(-1)
        del self._rooms[room_id]
        return True

    def mark_read(self) -> None:
        """The user has seen the end of the current room."""
        self.current.unread = 0

    def count_message(self, room: OpenRoom, *, is_at_end: bool) -> None:
        """Count a message of another user as unread, unless the end (`is_at_end`) of its room is on the screen."""
        if not (is_at_end and room is self.current):
            room.unread += 1
