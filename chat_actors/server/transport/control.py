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
        before the WebSocket is accepted; until then Hypercorn's `websocket_max_message_size` applies.
        """

    async def abort(self) -> None:
        """Drop the client, whatever it does or does not read. Waits for nothing; doing it twice changes nothing.

        HTTP/1.1: the TCP connection, with or without TLS. HTTP/2: this stream alone, never its siblings. What the
        client had sent and the app has not read yet is still handed out before the disconnect.
        """

    @property
    def peer_close_code(self) -> int | None:
        """The code of the client's Close frame: 1005 if the frame had none, None as long as there was no frame."""

    def backlog(self) -> int:
        """Bytes that wait to be sent on this WebSocket.

        HTTP/2: in its stream, not what waits in the TCP connection that it shares. TLS: the kernel and up to one more
        block of ciphertext come on top.
        """
