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

from chat_actors.protocol import AnyMessage, CloseCode, compressed_text_frame, encode, text_frame, too_slow


class Block:
    """Some messages, made once for however many receivers, in each form that any of them needs: once, and then kept."""

    __slots__ = ("_compressed", "_frames", "_payloads", "_texts")

    def __init__(self, payloads: Sequence[bytes]) -> None:
        """`payloads`: each message in JSON and UTF-8, as `encode` makes it."""
        self._payloads = payloads
        self._frames: bytes | None = None
        self._compressed: bytes | None = None
        self._texts: Sequence[str] | None = None

    @classmethod
    def of(cls, message: AnyMessage) -> Block:
        return cls((encode(message),))

    @property
    def frames(self) -> bytes:
        """All of them as ready WebSocket frames in one piece, for whoever writes to a socket."""
        if self._frames is None:
            self._frames = b"".join(map(text_frame, self._payloads))
        return self._frames

    @property
    def compressed(self) -> bytes:
        """As `frames`, for clients that take compressed messages."""
        if self._compressed is None:
            self._compressed = b"".join(map(compressed_text_frame, self._payloads))
        return self._compressed

    @property
    def texts(self) -> Sequence[str]:
        """The text of each, for whoever frames them himself."""
        if self._texts is None:
            self._texts = [payload.decode() for payload in self._payloads]
        return self._texts

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        return sum(map(len, self._payloads))


class Closing(msgspec.Struct, frozen=True):
    """How the socket is to be closed."""

    code: CloseCode
    reason: str


class Outbox(Protocol):
    """What a session, a room or a bot may do with somebody's port. Nothing here blocks or raises.

    Chosen once for each connection: one that writes ready frames to its socket or HTTP/2 stream
    (`chat_actors.server.outbox`), or `QueueOutbox` for anything else. All pass one suite of tests.
    """

    def offer(self, block: Block) -> bool:
        """Take the block for delivery, after all that was offered before. False: it is closed, or this overflowed it.

        An outbox that overflows is closed with 4008: a client gets every message in order or is told that it does not;
        it is never given a stream with a hole.
        """

    def close(self, code: CloseCode, reason: str) -> None:
        """Deliver what has been offered so far, then close the socket. The first close counts."""

    @property
    def closing(self) -> Closing | None:
        """How it was closed, if it was."""

    @property
    def backlog(self) -> int:
        """Bytes that wait for the client to read."""


class NullOutbox:
    """The outbox of who says something and hears nothing."""

    closing: Closing | None = None
    backlog = 0

    def offer(self, block: Block) -> bool:
        return False

    def close(self, code: CloseCode, reason: str) -> None:
        """Nothing to close."""


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
        size = block.size
        if self._bound and self._size and self._size + size > self._bound:
            self._blocks.clear()
            self._size = 0
            self.close(CloseCode.TOO_SLOW, too_slow(self._bound))
            return False
        self._size += size
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

    def take_all(self) -> Sequence[str]:
        """The texts of all blocks that wait, without waiting for any."""
        texts = [text for block in self._blocks for text in block.texts]
        self._blocks.clear()
        self._size = 0
        return texts

    async def wait_closed(self) -> Closing:
        """Wait until somebody has closed it (which says nothing about the socket yet)."""
        await self._closed.wait()
        if self._closing is None:
            raise AssertionError("set only by close()")
        return self._closing
