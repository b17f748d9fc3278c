"""The queue between a `WebSocketProtocol` and an ASGI app that calls `receive`."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Inbound:
    """A `Receiver` for an app that has not taken over: a queue for one writer and one reader, bounded by messages.

    Refuses messages until the app has requested a first one, beyond the connect event, and while it is full; then the
    socket is not read. The disconnect event takes no place in the queue.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = max(1, capacity)  # with 0, no message could pass
        self._messages: deque[Any] = deque([{"type": "websocket.connect"}])
        self._end_code: int | None = None
        self._is_connected = False  # whether the app has received the connect event
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
        """Not called: the bound applies only after a take-over."""

    def unreachable(self) -> None:
        """Nothing to do: `send` checks the connection itself."""

    def ended(self, code: int) -> None:
        """Put a disconnect with this code behind the queued messages. Only the first call counts."""
        if self._end_code is None:
            self._end_code = code
            self._news.set()

    def ask(self) -> None:
        """The app requests an event. After the connect event, messages are accepted from now on."""
        self._is_asked = self._is_connected

    @property
    def has_unread(self) -> bool:
        """Whether the app has not received all queued messages."""
        return self._is_connected and bool(self._messages)

    async def get(self) -> Any:
        """The next ASGI event. After the end, every call returns a disconnect."""
        while not self._messages:
            if self._end_code is not None:
                return {"type": "websocket.disconnect", "code": self._end_code}
            self._news.clear()
            await self._news.wait()
        self._is_connected = True
        return self._messages.popleft()
