"""The directory: the parent of every room."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeAlias

import anyio
import msgspec

from chat_actors.chat.room import ROOMS, CatchUp, RoomActor, RoomState
from chat_actors.kernel import Actor, ActorStopped, AskFailed, AskTimeout, Escalate, Request, Restart, handles

RoomFactory = Callable[[str, RoomState, Callable[[], datetime]], RoomActor]


class CountRooms(Request[int], msgspec.Struct, frozen=True):
    """How many rooms are open."""


class LetRoomsCatchUp(Request[None], msgspec.Struct, frozen=True):
    """Answered when every room has handed out what was waiting in it, or after `within` seconds."""

    within: float


DirectoryMessage: TypeAlias = CountRooms | LetRoomsCatchUp


class Directory(Actor[DirectoryMessage]):
    """Offers the rooms, so that whoever enters one by its id finds the one that runs or makes it, and supervises them.

    A room that fails for good closes alone. If the directory itself fails, the rooms go on while it restarts.
    """

    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(self, now: Callable[[], datetime], room: RoomFactory = RoomActor) -> None:
        self._now = now
        self._room = room

    async def on_start(self) -> None:
        self.context.offer(ROOMS, self._make_room)

    def _make_room(self, room_id: str) -> Callable[[], RoomActor]:
        # The numbering begins at the time in microseconds: a room that has gone and comes back goes on above its old
        # numbers, unless it ever held a million messages a second.
        state = RoomState(room_id, last_seq=int(self._now().timestamp() * 1_000_000))
        return partial(self._room, room_id, state, self._now)

    @handles
    def count_rooms(self, request: CountRooms) -> int:
        return len(self.context.children)

    @handles
    async def let_rooms_catch_up(self, request: LetRoomsCatchUp) -> None:
        with anyio.move_on_after(request.within):
            for room in self.context.children:
                if room.waiting:
                    try:
                        await room.ask(CatchUp(), timeout=request.within)
                    except (ActorStopped, AskFailed, AskTimeout):
                        pass  # it has ended, or is not well: there is nothing to wait for
