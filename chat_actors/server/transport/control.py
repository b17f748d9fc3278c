"""What the transport offers the app for one WebSocket, through the scope's extensions."""

from __future__ import annotations

from typing import Protocol

EXTENSION = "chat_actors.transport"
"""The key in `scope["extensions"]`. On another ASGI server it is missing, and the app does without."""


class Control(Protocol):
    """The transport under one WebSocket."""

    def limit(self, frame_bytes: int) -> None:
        """Close with 1009 a client that sends a message of more than this many bytes (0: no limit).

        Counted in bytes of payload over all fragments, and checked before the next piece is buffered. To be called
        before the WebSocket is accepted.
        """

    async def abort(self) -> None:
        """Drop the client at once, whatever it does or does not read.

        HTTP/1.1: the TCP connection. HTTP/2: this stream alone, unless the whole TCP connection has stalled.
        """
