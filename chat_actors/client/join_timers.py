"""How long a room waits for the answer to a join."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chat_actors.client.room_conversation import RoomConversation

JOIN_TIMEOUT = 60.0
"""Seconds for the answer to a join, which is then sent again. The server itself gives up a slow join earlier."""


class JoinTimers:
    """One timer for each join without an answer."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._timers: dict[RoomConversation, tuple[str, asyncio.TimerHandle]] = {}

    def watch(self, room: RoomConversation) -> None:
        """Start or stop the timer of a room, since a join may have been sent or answered."""
        join_id = room.unanswered_join
        watched_id, timer = self._timers.get(room, (None, None))
        if join_id == watched_id:
            return
        if timer is not None:
            timer.cancel()
            del self._timers[room]
        if join_id is not None:
            timer = asyncio.get_running_loop().call_later(JOIN_TIMEOUT, self._on_timeout, room)
            self._timers[room] = join_id, timer

    def _on_timeout(self, room: RoomConversation) -> None:
        room.give_up_join()
        self._flush()
