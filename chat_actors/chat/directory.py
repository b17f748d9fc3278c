"""The directory: the parent of every room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeAlias

import anyio
import msgspec

from chat_actors.chat.journal_writer import Journaling
from chat_actors.chat.kind_policy import KindDependencies, make_kind_policy
from chat_actors.chat.room import RoomActor
from chat_actors.chat.room_core import RoomCore
from chat_actors.chat.room_kinds import RoomKinds
from chat_actors.chat.room_messages import ROOMS, Flush
from chat_actors.chat.room_policy import RoomPolicy
from chat_actors.kernel import (
    Actor,
    ActorStopped,
    AnyRef,
    AskFailed,
    AskTimeout,
    Escalate,
    Request,
    Restart,
    StopReason,
    handles,
)
from chat_actors.storage import Accounts, MemoryAccounts, MemoryStates, States

MakePolicy = Callable[[], Awaitable[RoomPolicy]]
RoomFactory = Callable[[RoomCore, Callable[[], datetime], Journaling | None, MakePolicy], RoomActor]


class CountRooms(Request[int], msgspec.Struct, frozen=True):
    """The number of open rooms."""


class FlushRooms(Request[None], msgspec.Struct, frozen=True):
    """Answered once every room has stored and delivered its pending messages, or after `within` seconds."""

    within: float


DirectoryMessage: TypeAlias = CountRooms | FlushRooms


class Directory(Actor[DirectoryMessage]):
    """Declares the rooms, so that `get_or_spawn` finds or starts one by its id, and supervises them.

    A room that exceeds its restarts closes; the others continue. All rooms continue while a crashed directory restarts.
    """

    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(
        self,
        now: Callable[[], datetime],
        journaling: Journaling | None = None,
        room: RoomFactory = RoomActor,
        kinds: RoomKinds | None = None,
        states: States | None = None,
        accounts: Accounts | None = None,
        longest_content: int = 0,
    ) -> None:
        """`states` is closed with this actor, after the rooms; `accounts` is not."""
        self._states = states or MemoryStates()
        self._kinds = KindDependencies(kinds or RoomKinds(), self._states, accounts or MemoryAccounts(), now)
        self._now = now
        self._journaling = journaling
        self._room = room
        self._longest_content = longest_content

    async def on_start(self) -> None:
        self.context.declare(ROOMS, self._make_room)

    def _make_room(self, room_id: str) -> Callable[[], RoomActor]:
        # Without a journal, numbering starts at the time in microseconds. A room that is closed and opened again then
        # continues above its old numbers, unless it had more than a million messages per second.
        first = 0 if self._journaling is not None else int(self._now().timestamp() * 1_000_000)
        make_policy = partial(make_kind_policy, self._kinds, room_id)
        core = RoomCore(room_id, first, self._longest_content)
        return partial(self._room, core, self._now, self._journaling, make_policy)

    @handles
    def count_rooms(self, request: CountRooms) -> int:
        return len(self.context.children)

    @handles
    async def flush_rooms(self, request: FlushRooms) -> None:
        with anyio.move_on_after(request.within):
            async with anyio.create_task_group() as tasks:  # all at once: they wait for the same commit
                for room in self.context.children:
                    tasks.start_soon(self._flush_room, room, request.within)

    async def _flush_room(self, room: AnyRef, within: float) -> None:
        try:
            await room.ask(Flush(), timeout=within)
        except (ActorStopped, AskFailed, AskTimeout):
            pass  # it has ended or does not answer: nothing to wait for

    async def on_stop(self, reason: StopReason) -> None:
        await self._states.aclose()
