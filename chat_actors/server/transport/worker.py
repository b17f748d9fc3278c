"""Hypercorn's worker, with a shutdown that does not depend on any client.

Hypercorn 0.18 awaits `asyncio.Server.wait_closed()` before it applies `graceful_timeout`. Since Python 3.12.1 that
waits for every connection, so one idle HTTP/2 connection blocks the shutdown forever. Therefore the listeners and the
tasks of the connections are ours. Hypercorn's own worker runs without TCP sockets, for the app's lifespan events and
QUIC; its shutdown trigger is `_Worker.serve`, which returns when all connections have ended:

1. The stop condition occurs: `context.terminated` is set, no more connections are accepted, and the listeners close.
   Idle connections close at once, and the app closes its WebSockets (`Control.wait_draining`).
2. After `graceful_timeout` seconds the connections that are left are cancelled; they close within `LINGER` seconds.
3. The trigger returns, and Hypercorn runs the app's shutdown hooks.

A connection in its TLS handshake has no task yet: it is not waited for, and ends with the process.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from random import randint
from ssl import SSLContext
from typing import Any

from hypercorn.asyncio.run import worker_serve as hypercorn_worker_serve
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config, Sockets
from hypercorn.typing import AppWrapper
from hypercorn.utils import repr_socket_addr

from chat_actors.server.transport.carrier import LINGER
from chat_actors.server.transport.tcp_server import ChatTCPServer

CANCEL_SECONDS = LINGER + 1.0
"""How long cancelled connections may take to close; after that they are left to the end of the process."""


async def worker_serve(
    app: AppWrapper,
    config: Config,
    *,
    sockets: Sockets | None = None,
    shutdown_trigger: Callable[..., Awaitable[object]] | None = None,
) -> None:
    """Serve until `shutdown_trigger` returns; without one, until SIGINT or SIGTERM. Replaces Hypercorn's function."""
    if sockets is None:
        sockets = config.create_sockets()
    worker = _Worker(app, config, sockets, shutdown_trigger or _signal_trigger())
    without_tcp = Sockets([], [], sockets.quic_sockets)
    await hypercorn_worker_serve(app, config, sockets=without_tcp, shutdown_trigger=worker.serve)


def _signal_trigger() -> Callable[[], Awaitable[object]]:
    received = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, received.set)
    return received.wait


class _Worker:
    def __init__(
        self, app: AppWrapper, config: Config, sockets: Sockets, shutdown_trigger: Callable[..., Awaitable[object]]
    ) -> None:
        self._app = app
        self._config = config
        self._sockets = sockets
        self._shutdown_trigger = shutdown_trigger
        self._ssl_context = config.create_ssl_context()
        max_requests = config.max_requests
        if max_requests is not None:
            max_requests += randint(0, config.max_requests_jitter)  # noqa: S311 - spreads the restarts of workers
        self._context = WorkerContext(max_requests)
        self._listeners: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._has_ended = False

    async def serve(self) -> None:
        """Listen, wait for the stop condition, then end every connection."""
        try:
            for sock in self._sockets.secure_sockets:
                await self._listen(sock, "https", self._ssl_context, self._config.ssl_handshake_timeout)
            for sock in self._sockets.insecure_sockets:
                await self._listen(sock, "http")
            await self._wait_stop()
        finally:
            await self._context.terminated.set()
            await self._close_listeners()
            await self._end_connections()

    async def _listen(
        self, sock: Any, scheme: str, ssl: SSLContext | None = None, ssl_handshake_timeout: float | None = None
    ) -> None:
        self._listeners.append(
            await asyncio.start_server(
                self._connected,
                sock=sock,
                backlog=self._config.backlog,
                ssl=ssl,
                ssl_handshake_timeout=ssl_handshake_timeout,
            )
        )
        address = repr_socket_addr(sock.family, sock.getsockname())
        await self._config.log.info("Running on %s://%s (CTRL + C to quit)", scheme, address)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._has_ended:  # its TLS handshake took longer than the shutdown
            writer.transport.abort()
            return
        loop = asyncio.get_running_loop()
        connection = ChatTCPServer(self._app, loop, self._config, self._context, {}, reader, writer)
        task = loop.create_task(connection.run())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _wait_stop(self) -> None:
        conditions = [
            asyncio.ensure_future(self._shutdown_trigger()),
            asyncio.ensure_future(self._context.terminate.wait()),  # `max_requests` have been served
        ]
        try:
            done, _ = await asyncio.wait(conditions, return_when=asyncio.FIRST_COMPLETED)
            for condition in done:
                condition.result()
        finally:
            for condition in conditions:
                condition.cancel()

    async def _close_listeners(self) -> None:
        """Accept no more, and close the listeners in the next turn of the event loop.

        asyncio makes the transport of an accepted connection in the turn after the accept. If the listener has been
        closed by then, that fails silently, and from Python 3.12 on the socket stays open until a garbage collection.
        """
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            for sock in listener.sockets:
                loop.remove_reader(sock.fileno())
        await asyncio.sleep(0)
        for listener in self._listeners:
            listener.close()

    async def _end_connections(self) -> None:
        await self._wait_connections(self._config.graceful_timeout)
        for task in self._connections:
            task.cancel()
        await self._wait_connections(CANCEL_SECONDS)
        self._has_ended = True
        if self._connections:
            await self._config.log.warning("%d connections have not ended in time", len(self._connections))

    async def _wait_connections(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._connections and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self._connections, timeout=left)
