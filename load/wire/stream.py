"""What a WebSocket's bytes travel on."""

from __future__ import annotations

from typing import Protocol

READ_BYTES = 1 << 16


class Stream(Protocol):
    """Bytes both ways. Every call blocks its caller and nobody else."""

    def send(self, data: bytes) -> None:
        """Send all of it. Raises `OSError` if the other side is gone."""

    def receive(self, timeout: float) -> bytes:
        """What has come, at least one byte, or nothing at the end. Raises `TimeoutError` after so many seconds."""

    def close(self) -> None:
        """End it, without a word. Doing it twice changes nothing."""


class Connection(Stream, Protocol):
    """A stream with a socket of its own."""

    def shut_down(self) -> None:
        """No more of it, both ways: whoever waits in `receive()` returns. It still has to be closed."""
