"""The messages between a WebSocket, which takes them off the socket, and an ASGI app, which asks for them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Inbound:
    """A `Receiver` for an app that has not taken over: a queue for one writer and one reader, bounded by messages.

    Takes nothing before the app has asked for a first message; the connect event is none. On overflow it refuses, and
    so the socket is not read. Its end needs no room, so it is never waited for.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = max(1, capacity)  # with no room at all nothing would ever come
        self._messages: deque[Any] = deque([{"type": "websocket.connect"}])
        self._end_code: int | None = None
        self._is_connected = False  # whether the app has been handed the connect event
        self._is_asked = False
        self._news = asyncio.Event()

    def text(self, text: str) -> bool:
        return self._put({"type": "websocket.receive", "bytes": None, "text": text})

    def binary(self, data: bytes) -> bool:
        return self._put({"type": "websocket.receive", "bytes": data, "text": None})

    def _put(self, message: Any) -> bool:
        if not self._is_asked or len(self._messages) >= self._capacity:
            return False
        self._messages.append(message)
        self._news.set()
        return True

    def overflowed(self) -> None:
        """Cannot be: only who has taken over is held to a bound."""

    def unreachable(self) -> None:
        """An app's `send` looks for itself."""

    def ended(self, code: int) -> None:
        """Behind what waits the reader gets a disconnect with this code. The first end counts."""
        if self._end_code is None:
            self._end_code = code
            self._news.set()

    def ask(self) -> None:
        """The app wants a message: once it is connected, from now on there is room."""
        self._is_asked = self._is_connected

    @property
    def has_unread(self) -> bool:
        """Whether messages wait that the app has not taken out."""
        return self._is_connected and bool(self._messages)

    async def get(self) -> Any:
        """The next ASGI event. After the end it is a disconnect, however often one asks."""
        while not self._messages:
            if self._end_code is not None:
                return {"type": "websocket.disconnect", "code": self._end_code}
            self._news.clear()
            await self._news.wait()
        self._is_connected = True
        return self._messages.popleft()
