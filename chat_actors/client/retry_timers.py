"""The pauses before a conversation sends again what failed: each room has its own, so none holds up another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chat_actors.client.backoff import Backoff


class RetryTimers:
    """One timer for each room that needs a retry, and one (None) for the queries."""

    def __init__(self, retry: Callable[[str | None], None], make_backoff: Callable[[], Backoff]) -> None:
        self._retry = retry
        self._make_backoff = make_backoff
        self._backoffs: dict[str | None, Backoff] = {}
        self._timers: dict[str | None, asyncio.TimerHandle] = {}

    def start(self, room_id: str | None) -> None:
        """Retry after a pause. No effect while a timer runs."""
        if room_id not in self._timers:
            if room_id not in self._backoffs:
                self._backoffs[room_id] = self._make_backoff()
            pause = self._backoffs[room_id].next_pause()
            self._timers[room_id] = asyncio.get_running_loop().call_later(pause, self._on_timer, room_id)

    def _on_timer(self, room_id: str | None) -> None:
        del self._timers[room_id]
        self._retry(room_id)

    def succeeded(self, room_id: str | None) -> None:
        """Let the next pause of the room be short again."""
        self._backoffs.pop(room_id, None)

    def cancel_all(self) -> None:
        """The connection has ended: the next one sends everything again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
