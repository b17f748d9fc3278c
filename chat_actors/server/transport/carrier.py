"""What a WebSocket stream needs of the protocol that carries it, HTTP/1.1 or HTTP/2. Nothing here waits."""

from __future__ import annotations

from typing import Protocol

LINGER = 2.0
"""Seconds that a client gets, after our last byte, to read why it was closed and to end its own half.

Closing at once, with bytes of the client still unread, makes the kernel send a reset, and a reset may overtake the
Close frame (RFC 6455, section 7.1.1, has the server wait for this reason).
"""


class Carrier(Protocol):
    """Each call is about one stream; one that is gone already is nothing to complain about."""

    stops_reading: bool
    """Whether a stream that waits in `handle` makes the client wait and nobody else."""

    def write(self, stream_id: int, data: bytes) -> None:
        """Send behind what was sent before. For control frames, whose number the caller bounds by `backlog`."""

    def backlog(self, stream_id: int) -> int:
        """Bytes that wait to be sent."""

    def consumed(self, stream_id: int) -> None:
        """All that came so far has been taken: the client may send as much again."""

    def finish(self, stream_id: int, *, peer_is_done: bool) -> None:
        """Nothing more will be written: end our half behind what waits, and all of it within `LINGER` seconds."""

    def abort(self, stream_id: int) -> None:
        """End now and throw away what waits."""
