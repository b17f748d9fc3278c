"""The bytes of one HTTP/2 stream that wait for the client's window."""

from __future__ import annotations

from typing import Any

from hypercorn.asyncio.worker_context import EventWrapper
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, BUFFER_LOW_WATER, BufferCompleteError, StreamBuffer


class Signal(EventWrapper):
    """Hypercorn's event, with methods that callers can use without awaiting."""

    def notify(self) -> None:
        self._event.set()

    def reset(self) -> None:
        self._event.clear()


class BoundedStreamBuffer(StreamBuffer):
    """Holds at most 32 KiB (`BUFFER_HIGH_WATER`) and one message of each writer.

    Hypercorn resumes writers when few bytes were taken out, as is always so with a window of 0: its buffer then has no
    bound. This one resumes them when few bytes are left.
    """

    _is_empty: Signal
    _paused: Signal

    def __init__(self, event_class: Any) -> None:
        super().__init__(Signal)

    def append(self, data: bytes) -> None:
        """Append without waiting. Once the buffer is complete, data is dropped."""
        if not self._complete:
            self.buffer.extend(data)
            self._is_empty.reset()

    def discard(self) -> None:
        """Drop the buffered bytes, and resume the waiting writers."""
        self._complete = True
        self.buffer.clear()
        self._is_empty.notify()
        self._paused.notify()

    async def push(self, data: bytes) -> None:
        if self._complete:
            raise BufferCompleteError
        self.append(data)
        while len(self.buffer) >= BUFFER_HIGH_WATER and not self._complete:
            self._paused.reset()
            await self._paused.wait()

    async def pop(self, max_length: int) -> bytes:
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            self._paused.notify()
        if not self.buffer:
            self._is_empty.notify()
        return data
