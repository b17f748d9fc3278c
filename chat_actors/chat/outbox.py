"""The outbox: the queue of messages from the server to one client.

A room offers each block to all members in one loop, without an await: `offer` never waits. Each outbox has a bound in
bytes and closes a slow client that exceeds it, so a slow client does not delay the other members.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import anyio
import msgspec

from chat_actors.protocol import AnyMessage, CloseCode, compressed_text_frame, encode, text_frame, too_slow


class Block:
    """One or more encoded messages, shared by all recipients. Each wire form is built on first use and cached."""

    __slots__ = ("_compressed", "_frames", "_payloads", "_texts")

    def __init__(self, payloads: Sequence[bytes]) -> None:
        """`payloads`: each message as UTF-8 JSON, as `encode` returns it."""
        self._payloads = payloads
        self._frames: bytes | None = None
        self._compressed: bytes | None = None
        self._texts: Sequence[str] | None = None

    @classmethod
    def of(cls, message: AnyMessage) -> Block:
        """A block of one message."""
        return cls((encode(message),))

    @property
    def frames(self) -> bytes:
        """All messages as WebSocket frames, concatenated, ready for the socket."""
        if self._frames is None:
            self._frames = b"".join(map(text_frame, self._payloads))
        return self._frames

    @property
    def compressed(self) -> bytes:
        """Like `frames`, for clients that negotiated compression."""
        if self._compressed is None:
            self._compressed = b"".join(map(compressed_text_frame, self._payloads))
        return self._compressed

    @property
    def texts(self) -> Sequence[str]:
        """The text of each message, for ASGI servers, which frame messages themselves."""
        if self._texts is None:
            self._texts = [payload.decode() for payload in self._payloads]
        return self._texts

    @property
    def size(self) -> int:
        """The size of all messages in bytes of UTF-8, without frame headers."""
        return sum(map(len, self._payloads))


class Closing(msgspec.Struct, frozen=True):
    """The code and reason of a close: the arguments of `Outbox.close`."""

    code: CloseCode
    reason: str


class Outbox(Protocol):
    """The sending side of one connection. No method waits or raises.

    There are two implementations for sockets: `chat_actors.server.outbox` writes frames to a socket or an HTTP/2
    stream; `QueueOutbox` serves every other transport. Both pass the same test suite.
    """

    def offer(self, block: Block) -> bool:
        """Queue a block after all earlier ones. False if the outbox is closed, or if this block exceeds the bound.

        A block that exceeds the bound closes the outbox with 4008: a client receives every message in order or is
        disconnected. It never receives a stream with a gap.
        """

    def close(self, code: CloseCode, reason: str) -> None:
        """Deliver the blocks offered so far, then close the socket. Later calls have no effect."""

    @property
    def closing(self) -> Closing | None:
        """The arguments of the first `close`, or None while open."""

    @property
    def backlog(self) -> int:
        """Bytes that the client has not read yet."""


class NullOutbox:
    """Discards every block: for senders without a connection."""

    closing: Closing | None = None
    backlog = 0

    def offer(self, block: Block) -> bool:
        return False

    def close(self, code: CloseCode, reason: str) -> None:
        """Do nothing."""


class QueueOutbox:
    """An outbox on a queue that one writer empties with `take`, for connections that send one text at a time.

    The bound is `backlog_bytes` of text (0: unbounded), whatever the number of messages. An empty queue accepts a block
    of any size; otherwise a block above the bound could never be delivered.
    """

    def __init__(self, backlog_bytes: int) -> None:
        self._bound = backlog_bytes
        self._blocks: deque[Block] = deque()
        self._size = 0
        self._closing: Closing | None = None
        self._changed = anyio.Event()
        self._closed = anyio.Event()

    @property
    def closing(self) -> Closing | None:
        return self._closing

    @property
    def backlog(self) -> int:
        """Bytes that the writer has not taken yet."""
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
        self._changed.set()
        return True

    def close(self, code: CloseCode, reason: str) -> None:
        if self._closing is None:
            self._closing = Closing(code, reason)
            self._changed.set()
            self._closed.set()

    async def take(self) -> Sequence[str] | Closing:
        """Wait for the oldest block and return its texts. If the outbox is closed and empty, return its `Closing`.

        A taken block no longer counts as backlog: the writer holds one at most, and the socket buffer has its own
        bound.
        """
        while not self._blocks:
            if self._closing is not None:
                return self._closing
            self._changed = anyio.Event()
            await self._changed.wait()
        block = self._blocks.popleft()
        self._size -= block.size
        return block.texts

    def take_all(self) -> Sequence[str]:
        """Return the texts of all queued blocks, without waiting."""
        texts = [text for block in self._blocks for text in block.texts]
        self._blocks.clear()
        self._size = 0
        return texts

    async def wait_closed(self) -> Closing:
        """Wait until `close` has been called. The socket itself may still be open then."""
        await self._closed.wait()
        if self._closing is None:
            raise AssertionError("set only by close()")
        return self._closing
