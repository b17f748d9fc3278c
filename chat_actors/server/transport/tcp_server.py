"""Hypercorn's TCP connection, ended in bounded time whatever the client does.

Theory of operation. One task runs `run`: it reads bytes and passes them to the HTTP protocol. For a WebSocket on
HTTP/1.1, the protocol calls `continue_with`: the task then stops reading, moves the rest of the stream reader to the
carrier, and runs the WebSocket's app.

Writes have one order, that of the calls of `write`. If the server ends the connection, `_end` ends our half, and the
task reads on and drops the input until the client ends its own. Each way to close starts one timer (`_cut_in_time`),
which aborts the socket after `LINGER` seconds: `writer.close()` alone waits for a client that does not read. A
cancelled task closes the socket without reading on, under the same timer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from types import MethodType
from typing import Any, NamedTuple, cast

from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.asyncio.worker_context import AsyncioSingleTask
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h2 import H2Protocol

from chat_actors.server.transport.carrier import LINGER


class IdleTimer(AsyncioSingleTask):
    """The connection's idle timer. Does nothing once the connection is being cancelled.

    A stream that ends then restarts the timer, but the task group accepts no more tasks. Hypercorn's timer raises, and
    the cancellation is logged as an error of the app.
    """

    async def restart(self, task_group: Any, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # The coroutine is made only when it is started: a stream cancelled before would leave it unawaited.
        made: list[Coroutine[Any, Any, None]] = []

        def begin() -> Coroutine[Any, Any, None]:
            made.append(action())
            return made[0]

        try:
            await super().restart(task_group, begin)
        except RuntimeError:
            for timeout in made:
                timeout.close()


def _keep_alive(connection: Any) -> None:
    """Have the kernel probe a silent peer: one that vanished without a FIN is disconnected after two minutes."""
    if connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, option):  # not every platform has all three
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class Successor(NamedTuple):
    """Continues the connection when it is no longer HTTP."""

    run: Callable[[], Coroutine[Any, Any, None]]
    reader: asyncio.Protocol


class ChatTCPServer(TCPServer):
    """Writes in the order of the calls, closes in bounded time, and can be cancelled while its streams end."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.idle_task = IdleTimer()
        self._cut: asyncio.TimerHandle | None = None
        self._client_is_done = False
        self._is_ending = False  # further input is dropped
        self._successor: Successor | None = None
        try:
            _keep_alive(self.writer.get_extra_info("socket"))
        except OSError:
            pass  # disconnected already, which run() finds out

    async def run(self) -> None:
        try:
            await super().run()
        except asyncio.CancelledError:
            pass  # the end of the server; everything is cleaned up by now
        except Exception:
            await self.config.log.exception("a connection has failed; its client has to reconnect")
        finally:
            if self._cut is not None:
                self._cut.cancel()

    def write(self, data: bytes) -> None:
        """Write without waiting. After the end of the connection, bytes are dropped."""
        if not self.writer.transport.is_closing():
            try:
                self.writer.write(data)
            except RuntimeError:
                pass  # after write_eof()

    def finish(self, *, peer_is_done: bool) -> None:
        """Close if the client has finished too; else end our half, where the socket can be half-closed."""
        if peer_is_done:
            self.writer.close()
        elif self.writer.can_write_eof() and not self.writer.transport.is_closing():
            try:
                self.writer.write_eof()
            except OSError:
                pass  # the client has disconnected first
        self._cut_in_time()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def protocol_send(self, event: Event) -> None:
        # Hypercorn locks around the write, so callers that do not wait could overtake those that wait for the lock.
        if isinstance(event, Updated) and self._client_is_done:
            return
        if isinstance(event, Closed):
            self._end()
            return
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        self.write(event.data)
        try:
            await self.writer.drain()
        except (OSError, RuntimeError):
            await self.protocol.handle(Closed())

    def continue_with(self, run: Callable[[], Coroutine[Any, Any, None]], reader: asyncio.Protocol) -> None:
        """Stop reading, and await `run()` instead. `reader` receives all further bytes."""
        self._successor = Successor(run, reader)

    async def _read_data(self) -> None:
        while self._successor is None and not self.reader.at_eof():
            try:
                data = await asyncio.wait_for(self.reader.read(MAX_RECV), self.config.read_timeout)
            except OSError:  # includes TimeoutError and ssl.SSLError
                break
            if not self._is_ending:
                await self.protocol.handle(RawData(data))
        if self._successor is not None:
            successor, self._successor = self._successor, None
            await self._hand_over(successor.reader)
            await successor.run()
        await self.protocol.handle(Closed())
        # Hypercorn waits for its idle timer, five seconds, before it closes the socket of a disconnected client.
        self._client_is_done = True
        await self.idle_task.stop()

    async def _hand_over(self, reader: asyncio.Protocol) -> None:
        """Pass on the bytes in the stream reader, and the end of the stream: neither is reported again."""
        has_ended = self.reader.at_eof() or self.reader.exception() is not None
        self.reader.feed_eof()  # it is fed no more, so read() must not wait
        try:
            rest = await self.reader.read()
        except OSError:
            rest = b""
        if rest:
            reader.data_received(rest)
        if has_ended and not reader.eof_received():
            self.writer.close()

    async def _close(self) -> None:
        # writer.close() waits until its buffer is empty: forever, if the client does not read.
        self._cut_in_time()
        try:
            await super()._close()
        except OSError:
            pass  # the connection was lost, which is an end too

    async def _initiate_server_close(self) -> None:
        self._cut_in_time()  # first: the streams may take long to end
        await self.protocol.handle(Closed())
        self._end()

    def _end(self) -> None:
        """End our half, and read on until the client ends its own.

        Hypercorn closes the socket at once. If the client has sent more by then, TCP resets the connection, and the
        client loses what it has not read yet (RFC 9112, section 9.6), such as the Close frames of a shutdown. TLS has
        no half-close: there only HTTP/2 waits for the client, which has received a GOAWAY.
        """
        self._is_ending = True
        waits_for_client = self.writer.can_write_eof() or isinstance(self.protocol.protocol, H2Protocol)
        self.finish(peer_is_done=not waits_for_client)

    def _cut_in_time(self) -> None:
        if self._cut is None:
            self._cut = self.loop.call_later(LINGER, self.abort)


def server_of(send: Callable[[Event], Any]) -> ChatTCPServer:
    """The connection of a protocol, whose `send` is a bound method of it."""
    return cast("ChatTCPServer", cast("MethodType", send).__self__)
