"""HTTP/1.1 as the carrier of a WebSocket. From the request on, the connection serves only that WebSocket.

Bytes then come from asyncio's transport by callback, and the connection's one task, Hypercorn's own, runs the app.
Hypercorn's stream reader wakes a task that fills a queue that wakes another task: 30 µs more for each message, and 6 kB
more for each idle client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import h11
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection

from chat_actors.server.transport.carrier import Sink, anyio_context
from chat_actors.server.transport.tcp_server import ChatTCPServer, server_of
from chat_actors.server.transport.websocket_stream import ChatStream


class ChatH11Protocol(H11Protocol):
    """Makes the carrier for its WebSocket, and changes to HTTP/2 only at the HTTP/2 preface."""

    def make_carrier(self, stream: ChatStream) -> Http1Carrier:
        return Http1Carrier(server_of(self.send), self, stream)

    async def _check_protocol(self, event: h11.Request) -> None:
        # Hypercorn also accepts "Upgrade: h2c", which is obsolete (RFC 9113, section 3.1), and fails on bad settings.
        # A server may always ignore an upgrade (RFC 9110, section 7.8).
        if event.method == b"PRI" and not list(event.headers):
            await super()._check_protocol(event)


class _NoNextRequest:
    """Replaces the event for "the next request may be read": this connection has no next request."""

    async def set(self) -> None:
        """Has no waiters."""

    async def clear(self) -> None:
        """Has no waiters."""

    async def wait(self) -> None:
        """Has no waiters."""

    def is_set(self) -> bool:
        return True


class Http1Carrier(asyncio.Protocol):
    """Implements `Carrier`. Replaces asyncio's stream protocol, and forwards the callbacks for writing to it."""

    __slots__ = ("_before", "_is_bound", "_protocol", "_server", "_stream", "_transport", "context", "outlives_its_app")

    def __init__(self, server: ChatTCPServer, protocol: H11Protocol, stream: ChatStream) -> None:
        self.outlives_its_app = True
        self._server = server
        self._protocol = protocol
        self._stream: Sink = stream
        self._transport = cast("asyncio.Transport", server.writer.transport)
        self._before = cast("asyncio.Protocol", self._transport.get_protocol())
        self._is_bound = False
        self.context = anyio_context()
        self._transport.set_protocol(self)
        self.resume()  # the stream protocol may have paused the transport, and will not resume it any more

    # -- Carrier -------------------------------------------------------------------------------------------------------

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._server.continue_with(run, self)

    def forget_request(self) -> None:
        cast("H11WSConnection", self._protocol.connection).h11_connection = cast("Any", None)
        self._protocol.can_read = _NoNextRequest()

    @property
    def write(self) -> Callable[[bytes], object]:
        return self._transport.write

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def backlog(self) -> int:
        return self._transport.get_write_buffer_size()

    def bound(self, backlog_bytes: int) -> None:
        if backlog_bytes:
            # The transport then calls `pause_writing` by itself, so no write has to check the buffer's size.
            self._is_bound = True
            self._transport.set_write_buffer_limits(high=backlog_bytes)

    def pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def finish(self, *, peer_is_done: bool) -> None:
        self._server.finish(peer_is_done=peer_is_done)

    def abort(self) -> None:
        self._server.abort()

    # -- asyncio's protocol --------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.context.run(self._stream.received, data)

    def eof_received(self) -> bool:
        self.context.run(self._stream.peer_ended)
        if self._transport.can_write_eof():
            return True  # our half stays open until the client's last messages are answered
        self.context.run(self._stream.lost)
        return False  # TLS cannot be half-closed: the transport closes itself, and nothing more can be sent

    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
        self.context.run(self._stream.lost)

    def pause_writing(self) -> None:
        self._before.pause_writing()
        if self._is_bound:
            self._stream.overflowed()

    def resume_writing(self) -> None:
        self._before.resume_writing()
