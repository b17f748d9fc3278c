"""Counts messages in a byte stream without parsing it: each message contains one marker, which reads may split."""

from __future__ import annotations

import socket

from load.bench.frames import find_pings

CHAT_MARKER = b'"chat_message"'
"""Occurs exactly once in each chat message of every server. Long, because longer strings are found faster."""

TAIL_BYTES = len(CHAT_MARKER) - 1

_CAPACITY = 1 << 20


def sender_marker(number: int) -> bytes:
    """The marker in one sender's messages; as long as `CHAT_MARKER`, so that one saved tail serves both."""
    return b"[bench:from%02d]" % number


class ReadBuffer:
    """One large buffer for the reads of all sockets. Each read is counted before the next one overwrites it."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._buffer = bytearray(TAIL_BYTES + capacity)
        self._free = memoryview(self._buffer)[TAIL_BYTES:]

    def read(self, sock: socket.socket, tally: Tally) -> int:
        """Read once from the socket and count. Returns the number of bytes, 0 at the end. Raises as `recv_into`."""
        size = sock.recv_into(self._free)
        if size:
            self._count(tally, size)
        return size

    def feed(self, data: bytes, tally: Tally) -> None:
        """Count bytes that were read elsewhere."""
        self._free[: len(data)] = data
        self._count(tally, len(data))

    def _count(self, tally: Tally, size: int) -> None:
        buffer, tail = self._buffer, tally.tail
        start, end = TAIL_BYTES - len(tail), TAIL_BYTES + size
        buffer[start:TAIL_BYTES] = tail
        tally.chats += buffer.count(CHAT_MARKER, start, end)
        if tally.own_marker is not None:
            tally.own += buffer.count(tally.own_marker, start, end)
        tally.tail = bytes(buffer[max(start, end - TAIL_BYTES) : end])
        if buffer.find(b"\x89", TAIL_BYTES, end) >= 0:
            tally.pings.extend(find_pings(buffer[TAIL_BYTES:end]))


class Tally:
    """Counts of one connection: chat messages received, its own ones among them, and the pings to answer."""

    __slots__ = ("chats", "own", "own_marker", "pings", "tail")

    def __init__(self) -> None:
        self.chats = 0
        self.own = 0
        self.own_marker: bytes | None = None
        self.pings: list[bytes] = []
        self.tail = b""
