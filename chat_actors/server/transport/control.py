"""The interface between the transport and the app of one WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

EXTENSION = "chat_actors.transport"
"""The key in `scope["extensions"]` under which an app finds its `Control`. On another ASGI server it is missing."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on the resources of one client. 0 switches a bound off."""

    frame_bytes: int = 0
    """Bytes of payload of one message, over all its fragments. Beyond: 1009, before the next fragment is buffered."""

    backlog_bytes: int = 0
    """Bytes that may wait for the client, once the app has taken over. Beyond: `Receiver.overflowed`."""

    ping_seconds: float = 0.0
    """Seconds between two pings. A client with two unanswered pings when the next is due is closed with 1008."""


class Receiver(Protocol):
    """An app that has taken over. The connection's callbacks call it, so it must not wait."""

    def text(self, text: str) -> bool:
        """Handle a text message. False: not now; reading stops, and the call is repeated after `FrameWriter.resume`."""

    def binary(self, data: bytes) -> bool:
        """Handle a binary message, like `text`."""

    def overflowed(self) -> None:
        """More than `backlog_bytes` wait for the client. Called once, possibly from within `FrameWriter.write`."""

    def unreachable(self) -> None:
        """The connection is lost, but earlier messages are still to be delivered. Write nothing more."""

    def ended(self, code: int) -> None:
        """The last call. `code` is the client's close code; 1006 if it disconnected without a Close."""


class FrameWriter(Protocol):
    """Writes frames to the client of an app that has taken over. Nothing here waits; after the end, nothing happens."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Send whole, ready WebSocket frames (RFC 6455, section 5.2) behind what was sent before.

        A property, so that the caller can keep the function itself: on HTTP/1.1 it is the socket transport's own, which
        logs a warning for writes after the end. So do not write after `close`, nor after `Receiver.unreachable` or
        `Receiver.ended`.
        """

    @property
    def is_compressed(self) -> bool:
        """Whether the client accepts compressed messages too, each by itself (RFC 7692, without context takeover)."""

    def resume(self) -> None:
        """The receiver can handle messages again."""

    def close(self, code: int, reason: str) -> None:
        """Send a Close behind what waits. If the client is still connected `LINGER` seconds later, cut it."""

    def backlog(self) -> int:
        """Bytes that wait to be sent. See `Control.backlog`."""


class Control(Protocol):
    """The transport under one WebSocket, for its app."""

    def limit(self, bounds: Bounds) -> None:
        """Set the bounds of this client. To be called before the WebSocket is accepted.

        Without it, Hypercorn's `websocket_max_message_size` and `websocket_ping_interval` apply.
        """

    def allow_compression(self) -> None:
        """Agree to permessage-deflate if the client offers it. To be called before the WebSocket is accepted.

        Off by default: it saves bandwidth, and costs CPU for each message that the client sends.
        """

    def take_over(self, receiver: Receiver, run: Callable[[], Coroutine[Any, Any, None]]) -> FrameWriter:
        """Deliver messages to `receiver` from now on, and no longer through ASGI's `receive` and `send`.

        When the ASGI app returns, `run()` continues in its task; the WebSocket ends when `run()` does. The request is
        then released: an idle client keeps no scope, no headers, no context of a web framework. If the client has
        already disconnected, `Receiver.ended` is called at once. Raises `RuntimeError` before the accept, or if
        messages that `receive` has requested are still queued: they would be lost.
        """

    @property
    def is_taken_over(self) -> bool:
        """Whether an app has taken over. Then the end of the ASGI call does not close the WebSocket."""

    async def abort(self) -> None:
        """Disconnect the client at once, whether or not it reads. Idempotent; does not wait.

        HTTP/1.1: closes the TCP connection, with or without TLS. HTTP/2: resets this stream only. Messages that
        the client sent and the app has not read yet are still delivered before the disconnect.
        """

    @property
    def peer_close_code(self) -> int | None:
        """The code of the client's Close frame: 1005 if the frame had none, None before there is a frame."""

    def backlog(self) -> int:
        """Bytes that wait to be sent on this WebSocket.

        HTTP/2: those in its stream, without those in the shared TCP connection. TLS: the kernel's buffer and up to one
        block of ciphertext come on top.
        """

    @property
    def wait_draining(self) -> Callable[[], Coroutine[Any, Any, None]]:
        """Wait until the server has stopped listening: the moment to close clients.

        The moment is the same for all connections of a server process, so one wait is enough. It holds no reference to
        this connection.
        """

    @property
    def drain_seconds(self) -> float:
        """How long the server waits after that before it cancels the connections that are left."""
