"""What the transport and an app have to say to each other about one WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

EXTENSION = "chat_actors.transport"
"""The key in `scope["extensions"]` under which an app finds its `Control`. On another ASGI server it is missing."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may cost, whatever it sends or does not read. 0 switches a bound off."""

    frame_bytes: int = 0
    """Bytes of payload of one message, over all its fragments; beyond: 1009, before the next piece is buffered."""

    backlog_bytes: int = 0
    """Bytes that may wait for the client, once the app has taken over; beyond: `Receiver.overflowed`."""

    ping_seconds: float = 0.0
    """Between two pings. A client that has left two unanswered when the next is due is closed with 1008."""


class Receiver(Protocol):
    """An app that has taken over. It is called in the connection's own turn of the event loop, and must not wait."""

    def text(self, text: str) -> bool:
        """A text message. False: not now; the socket is not read, and this is offered again after `Line.resume`."""

    def binary(self, data: bytes) -> bool:
        """A binary message; else as `text`."""

    def overflowed(self) -> None:
        """More than `backlog_bytes` wait for the client. Called once, maybe from within `Line.write`."""

    def unreachable(self) -> None:
        """The connection is gone, but messages that came before are still to be offered: write nothing more."""

    def ended(self, code: int) -> None:
        """The last call: nothing more will come. The code is the client's; 1006 if it has gone without a Close."""


class Line(Protocol):
    """The way to a client, for an app that has taken over. Nothing here waits; after the end it does nothing."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Send ready WebSocket frames (RFC 6455, section 5.2), whole ones, behind what was sent before.

        A property, so that the caller can keep the very function: on HTTP/1.1 that is the socket's own, which complains
        of what is written after the end. So write nothing after `close`, nor once the receiver has been told that the
        client is `unreachable` or has `ended`.
        """

    @property
    def is_compressed(self) -> bool:
        """Whether the client also takes messages that are compressed, each by itself (RFC 7692, without context)."""

    def resume(self) -> None:
        """The receiver can take messages again."""

    def close(self, code: int, reason: str) -> None:
        """Send a Close behind what waits, and cut the client `LINGER` seconds later if it has not gone by then."""

    def backlog(self) -> int:
        """Bytes that wait to be sent. See `Control.backlog`."""


class Control(Protocol):
    """The transport under one WebSocket, for its app."""

    def limit(self, bounds: Bounds) -> None:
        """Hold this client to these bounds. To be called before the WebSocket is accepted.

        Without it, Hypercorn's `websocket_max_message_size` and `websocket_ping_interval` apply.
        """

    def allow_compression(self) -> None:
        """Agree to permessage-deflate if the client offers it. To be called before the WebSocket is accepted.

        Off by default: it saves a slow line something, and costs CPU for each message of a client.
        """

    def take_over(self, receiver: Receiver, run: Callable[[], Coroutine[Any, Any, None]]) -> Line:
        """Once accepted: what comes goes to `receiver`, and no more through ASGI's `receive` and `send`.

        When the ASGI app returns, `run()` goes on in its place, and the WebSocket ends when that does. Until then
        nothing is kept of the request: an idle client costs no scope, no headers, no context of a web framework.
        If the client has gone already, `Receiver.ended` is called at once. Raises `RuntimeError` before the accept, or
        if messages wait that were asked for with `receive` and not taken: those would be lost.
        """

    @property
    def is_taken_over(self) -> bool:
        """Whether an app has taken over: then nobody else closes the WebSocket when the ASGI call returns."""

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

    @property
    def wait_draining(self) -> Callable[[], Coroutine[Any, Any, None]]:
        """Waits until the server has stopped listening, and its connections are to end: the time to say goodbye.

        The same moment for all connections of a server process, so one wait is enough; it does not keep this alive.
        """

    @property
    def drain_seconds(self) -> float:
        """How long the server waits, from then on, before it cancels the connections that are left."""
