"""The messages between a stream, which takes them off the socket, and its app, which asks for them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Inbound:
    """A queue for one writer and one reader, bounded by messages. Its end needs no room, so it is never waited for.

    The writer looks at `is_full` before it puts; on overflow it does not parse on, and so stops reading its socket.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._messages: deque[Any] = deque()
        self._end_code: int | None = None
        self._is_abandoned = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def is_full(self) -> bool:
        return len(self._messages) >= self._capacity

    def put(self, message: Any) -> None:
        """For the reader, unless there is none any more."""
        if not self._is_abandoned:
            self._messages.append(message)
            self._news.set()

    def end(self, code: int) -> None:
        """No more will come: behind what waits the reader gets a disconnect with this code. The first end counts."""
        if self._end_code is None:
            self._end_code = code
            self._news.set()
            self._room.set()

    def abandon(self) -> None:
        """The reader has gone: drop what waits, and all that comes."""
        self._is_abandoned = True
        self._messages.clear()
        self._room.set()

    async def get(self) -> Any:
        """The next ASGI event. After the end it is a disconnect, however often one asks."""
        while not self._messages:
            if self._end_code is not None:
                return {"type": "websocket.disconnect", "code": self._end_code}
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return self._messages.popleft()

    async def wait_for_reader(self) -> None:
        """Wait until something has been taken since the last wait, or nothing will be."""
        await self._room.wait()
        if self._end_code is None and not self._is_abandoned:
            self._room.clear()
