"""The bounded queue of events between the connection and the program."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

Event = TypeVar("Event")

MAX_UNREAD_EVENTS = 1000
"""Unread events of one room that the client keeps. Beyond, the room leaves until the program has read them."""


class EventQueue(Generic[Event]):
    """The events that the program has not read. `push` never waits; its caller watches the bound with `is_full`."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._end: Exception | None = None

    @property
    def is_full(self) -> bool:
        return self._events.qsize() >= MAX_UNREAD_EVENTS

    @property
    def is_empty(self) -> bool:
        return self._events.empty()

    def push(self, event: Event) -> None:
        """Add an event. No effect after `close`."""
        if self._end is None:
            self._events.put_nowait(event)

    async def receive(self) -> Event:
        """Wait for the next event. Raises the error given to `close` once the queue is empty."""
        if self._end is not None and self._events.empty():
            raise self._end
        event = await self._events.get()
        if event is None:
            self._wake_reader()  # another task may wait too
            raise self._end or AssertionError("readers are woken after the end is known")
        return event

    def close(self, error: Exception) -> None:
        """End the queue after the events in it. Only the first error counts."""
        if self._end is None:
            self._end = error
            self._wake_reader()

    def reopen(self) -> None:
        """Undo `close`. The events that have not been read stay."""
        if self._end is not None:
            self._end = None
            for _ in range(self._events.qsize()):
                if (event := self._events.get_nowait()) is not None:
                    self._events.put_nowait(event)

    def _wake_reader(self) -> None:
        if self._events.empty():
            self._events.put_nowait(None)
