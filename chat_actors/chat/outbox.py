"""The outbox: a session's port to its socket. Whoever holds it may offer; offering never blocks.

The room offers to every member in one loop without an await; what happens to a client that does not keep up is decided
here, in bytes, and costs nobody else anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import anyio
import msgspec

from chat_actors.protocol import CloseCode, ServerMessage, encode


class Block(msgspec.Struct, frozen=True):
    """Some messages, encoded once for however many receivers: the text of each frame, and the size of them all."""

    texts: tuple[str, ...]
    size: int
    """Bytes of UTF-8."""

    @classmethod
    def of(cls, *messages: ServerMessage) -> Block:
        texts = tuple(encode(message) for message in messages)
        return cls(texts, sum(len(text) if text.isascii() else len(text.encode()) for text in texts))


class Closing(msgspec.Struct, frozen=True):
    """How the socket is to be closed."""

    code: CloseCode
    reason: str


class Outbox(Protocol):
    """What a session, a room or a bot may do with somebody's port. Nothing here blocks or raises."""

    def offer(self, block: Block) -> bool:
        """Take the block for delivery, after all that was offered before. False: it is closed, or this overflowed it.

        An outbox that overflows is closed with 4008 and drops what waited: a client gets every message in order or is
        told that it does not; it is never given a stream with a hole.
        """

    def close(self, code: CloseCode, reason: str) -> None:
        """Deliver what has been offered so far, then close the socket. The first close counts."""

    @property
    def closing(self) -> Closing | None:
        """How it was closed, if it was."""


class QueueOutbox:
    """An outbox on a queue that a writer empties with `take`: for any socket that takes texts one by one.

    Bounded by `backlog_bytes` of text (0: unbounded), whatever the number of messages. A block over the bound is taken
    when nothing else waits, since it could never be delivered otherwise.
    """

    def __init__(self, backlog_bytes: int) -> None:
        self._bound = backlog_bytes
        self._blocks: deque[Block] = deque()
        self._size = 0
        self._closing: Closing | None = None
        self._news = anyio.Event()
        self._closed = anyio.Event()

    @property
    def closing(self) -> Closing | None:
        return self._closing

    @property
    def backlog(self) -> int:
        """Bytes that wait for the writer."""
        return self._size

    def offer(self, block: Block) -> bool:
        if self._closing is not None:
            return False
        if self._bound and self._size and self._size + block.size > self._bound:
            self._blocks.clear()
            self._size = 0
            self.close(CloseCode.TOO_SLOW, f"too slow: over {self._bound} bytes were waiting; reconnect and catch up")
            return False
        self._size += block.size
        self._blocks.append(block)
        self._news.set()
        return True

    def close(self, code: CloseCode, reason: str) -> None:
        if self._closing is None:
            self._closing = Closing(code, reason)
            self._news.set()
            self._closed.set()

    async def take(self) -> Sequence[str] | Closing:
        """The texts of the oldest block that waits; once there is none, how to close. For the one writer.

        What it holds no longer counts as backlog: that is one block, and the socket's own buffer has its own bound.
        """
        while not self._blocks:
            if self._closing is not None:
                return self._closing
            self._news = anyio.Event()
            await self._news.wait()
        block = self._blocks.popleft()
        self._size -= block.size
        return block.texts

    async def wait_closed(self) -> Closing:
        """Wait until somebody has closed it (which says nothing about the socket yet)."""
        await self._closed.wait()
        if self._closing is None:
            raise AssertionError("set only by close()")
        return self._closing
