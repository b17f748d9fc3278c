"""The byte streams on which a WebSocket runs."""

from __future__ import annotations

from typing import Protocol

READ_BYTES = 1 << 16


class Stream(Protocol):
    """A bidirectional byte stream. Calls block only their caller."""

    def send(self, data: bytes) -> None:
        """Send all of the data. Raises `OSError` if the connection is lost."""

    def receive(self, timeout: float) -> bytes:
        """Receive at least one byte, or `b""` at the end. Raises `TimeoutError` after `timeout` seconds."""

    def close(self) -> None:
        """Close the stream. Idempotent."""


class Connection(Stream, Protocol):
    """A stream that owns a socket."""

    def shut_down(self) -> None:
        """Shut down both directions, so that a pending `receive()` returns. Does not close the socket."""
