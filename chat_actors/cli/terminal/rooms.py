"""The rooms that the user is in, which of them is looked at, and what has not been seen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from chat_actors.cli.terminal.timeline import Timeline


class Connected(msgspec.Struct, frozen=True):
    pass


class Away(msgspec.Struct, frozen=True):
    """The line is lost, and tried again in so many seconds."""

    seconds: float
    why: str


class Ended(msgspec.Struct, frozen=True):
    """Nothing more comes of the room by itself."""

    why: str


Line: TypeAlias = Connected | Away | Ended


class OpenRoom:
    """One room as the user sees it."""

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.timeline = Timeline()
        self.line: Line = Connected()
        self.unread = 0
        self.members: Sequence[str] = ()
        """Of very many, only some."""
        self.count: int | None = None
        """How many are in the room; None before it is known."""


class Rooms:
    """In the order of joining. There is always one that is looked at, until the last has been left."""

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
        """Messages in the rooms that are not looked at."""
        return sum(room.unread for room in self._rooms.values() if room is not self.current)

    def get(self, room_id: str) -> OpenRoom | None:
        return self._rooms.get(room_id)

    def open(self, room: OpenRoom) -> None:
        """Add it, or put it in the place of the one of that name, and look at it."""
        self._rooms[room.room_id] = room
        self._current = room.room_id

    def switch(self, room_id: str) -> bool:
        """Look at this room; False if the user is not in it."""
        if room_id not in self._rooms:
            return False
        self._current = room_id
        return True

    def step(self, by: int) -> None:
        """Look at the next room, or the one before, round and round."""
        ids = list(self._rooms)
        self._current = ids[(ids.index(self._current) + by) % len(ids)]

    def close(self, room_id: str) -> bool:
        """Forget a room; False if it is the last, which stays."""
        if room_id not in self._rooms or len(self._rooms) == 1:
            return False
        if room_id == self._current:
            self.step(-1)
        del self._rooms[room_id]
        return True

    def seen(self) -> None:
        """All of the current room has been looked at."""
        self.current.unread = 0

    def heard(self, room: OpenRoom, *, is_seen: bool) -> None:
        """Somebody else has said something in a room; `is_seen` if the user looks at the end of the current one."""
        if not (is_seen and room is self.current):
            room.unread += 1
