"""Hypercorn's TCP connection, with an end that comes whatever the client does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from types import MethodType
from typing import Any, NamedTuple, cast

from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.asyncio.worker_context import AsyncioSingleTask
from hypercorn.events import Closed, Event, RawData, Updated

from chat_actors.server.transport.carrier import LINGER


class IdleTimer(AsyncioSingleTask):
    """The connection's idle timer, which is not started any more once the connection is being cancelled.

    A stream that ends then wants it restarted, and the task group takes no more tasks; Hypercorn's own raises, and the
    cancellation becomes an error of the app's.
    """

    async def restart(self, task_group: Any, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # Made only in its turn: a stream that is cancelled while it waits here would leave it behind, unawaited.
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
    """Have the kernel probe a silent peer, so that one that has vanished without a word is gone after two minutes."""
    if connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, option):  # not every platform has all three
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class Successor(NamedTuple):
    """What a connection becomes when it is no longer HTTP."""

    run: Callable[[], Coroutine[Any, Any, None]]
    reader: asyncio.Protocol


class ChatTCPServer(TCPServer):
    """Writes in the order of the calls, closes in bounded time, and can be cancelled while its streams end."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.idle_task = IdleTimer()
        self._cut: asyncio.TimerHandle | None = None
        self._client_is_done = False
        self._successor: Successor | None = None
        try:
            _keep_alive(self.writer.get_extra_info("socket"))
        except OSError:
            pass  # it is gone already, which run() finds out

    async def run(self) -> None:
        try:
            await super().run()
        except asyncio.CancelledError:
            # This is how Hypercorn ends a connection at shutdown, and all is cleaned up by now. The task is nobody's
            # to await; asyncio asks a cancelled one for its exception, and logs that as an error of its own.
            pass
        except Exception:
            await self.config.log.exception("a connection has failed; its client has to reconnect")
        finally:
            if self._cut is not None:
                self._cut.cancel()

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket without waiting. What comes after its end is dropped."""
        if not self.writer.transport.is_closing():
            try:
                self.writer.write(data)
            except RuntimeError:
                pass  # after write_eof()

    def finish(self, *, peer_is_done: bool) -> None:
        """Close if the client is done too; else end our half, where the socket has halves, and wait for it to be."""
        if peer_is_done:
            self.writer.close()
        elif self.writer.can_write_eof() and not self.writer.transport.is_closing():
            try:
                self.writer.write_eof()
            except OSError:
                pass  # the client was first
        self._cut_in_time()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def protocol_send(self, event: Event) -> None:
        # Hypercorn takes a lock before it writes. Without it, what was sent first is written first, also between
        # those who wait here for the socket and those who do not wait.
        if isinstance(event, Updated) and self._client_is_done:
            return
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        self.write(event.data)
        try:
            await self.writer.drain()
        except (OSError, RuntimeError):
            await self.protocol.handle(Closed())

    def go_on_with(self, run: Callable[[], Coroutine[Any, Any, None]], reader: asyncio.Protocol) -> None:
        """The connection has become something else, which reads by itself: run that instead of reading."""
        self._successor = Successor(run, reader)

    async def _read_data(self) -> None:
        while self._successor is None and not self.reader.at_eof():
            try:
                data = await asyncio.wait_for(self.reader.read(MAX_RECV), self.config.read_timeout)
            except OSError:  # and so TimeoutError, and what TLS raises
                break
            await self.protocol.handle(RawData(data))
        if self._successor is not None:
            successor, self._successor = self._successor, None
            await self._hand_over(successor.reader)
            await successor.run()
        await self.protocol.handle(Closed())
        # Hypercorn waits for its idle timer, five seconds, before it closes a socket whose client has gone.
        self._client_is_done = True
        await self.idle_task.stop()

    async def _hand_over(self, reader: asyncio.Protocol) -> None:
        """What our stream reader still had, and that the client had ended by then, nobody will say again."""
        has_ended = self.reader.at_eof() or self.reader.exception() is not None
        self.reader.feed_eof()  # nobody feeds it any more, and so read() has nothing to wait for
        try:
            rest = await self.reader.read()
        except OSError:
            rest = b""
        if rest:
            reader.data_received(rest)
        if has_ended and not reader.eof_received():
            self.writer.close()

    async def _close(self) -> None:
        # writer.close() waits for its buffer to empty, and a client that does not read keeps it waiting for ever.
        self._cut_in_time()
        try:
            await super()._close()
        except OSError:
            pass  # how the connection was lost does not matter to its end

    async def _initiate_server_close(self) -> None:
        self._cut_in_time()
        await super()._initiate_server_close()

    def _cut_in_time(self) -> None:
        if self._cut is None:
            self._cut = self.loop.call_later(LINGER, self.abort)


def server_of(send: Callable[[Event], Any]) -> ChatTCPServer:
    """The connection behind what Hypercorn gives a protocol to send with: that is a method of its."""
    return cast("ChatTCPServer", cast("MethodType", send).__self__)
