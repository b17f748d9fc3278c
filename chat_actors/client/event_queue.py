"""The bounded queue of events between the connection and the program."""

from __future__ import annotations

import asyncio
from collections import deque

from chat_actors.client.errors import EventsUnread
from chat_actors.client.events import ClientEvent
from chat_actors.client.pending_answers import PendingAnswers

MAX_UNREAD_EVENTS = 1000
"""Events that the client keeps for the program to read. Beyond, it stops reading from the server."""

MAX_EXTRA_EVENTS = 20_000
"""More events that the client keeps while a task waits for an answer, which may come after them."""

READ_TIMEOUT = 10.0
"""Seconds for the program to read an event, while a task waits for an answer that comes after it."""


class EventQueue:
    """Bounded queue of events for the program.

    `push` never waits: it stores events that a connection has delivered, and that its end must not lose. `flush` then
    moves them into the bounded queue and waits for space, which stops the client from reading from the server.
    """

    def __init__(self, answers: PendingAnswers, *, listen: bool) -> None:
        self._answers = answers
        self._listen = listen
        self._queue: asyncio.Queue[ClientEvent | None] = asyncio.Queue(MAX_UNREAD_EVENTS)
        self._pushed: deque[ClientEvent] = deque()
        self._end: Exception | None = None

    def push(self, event: ClientEvent) -> None:
        self._pushed.append(event)

    async def flush(self) -> None:
        if not self._listen:
            self._pushed.clear()
        while self._pushed:
            if self._queue.full() and self._answers.has_waiters and len(self._pushed) < MAX_EXTRA_EVENTS:
                return  # the reader itself may be waiting for an answer that has not been received yet
            try:
                async with asyncio.timeout(READ_TIMEOUT):
                    await self._queue.put(self._pushed[0])
            except TimeoutError:
                self._answers.fail_all(EventsUnread(self._queue.qsize()))
            else:
                self._pushed.popleft()

    async def receive(self) -> ClientEvent:
        """Wait for the next event. Raises the error given to `close` once the queue is empty."""
        if self._end is not None and self._queue.empty():
            raise self._end
        event = await self._queue.get()
        if event is None:
            self._wake_reader()  # another task may wait too
            raise self._end or AssertionError("readers are woken after the end is known")
        return event

    def close(self, error: Exception) -> None:
        self._end = error
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._queue.empty():
            self._queue.put_nowait(None)
