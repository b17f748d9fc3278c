"""The worker's shutdown in the test's own process; `tests/cli/test_shutdown.py` tests it in a process of its own."""

import asyncio
import contextlib
import logging
import socket

import pytest

from chat_actors.server.transport import worker
from tests.patience import PATIENCE
from tests.wire.http1 import connect_raw
from tests.wire.live_server import LiveServer

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class StuckApp:
    """An app whose request handler ignores its cancellation until `release` is set."""

    def __init__(self):
        self.has_request = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for _ in range(2):
                event = await receive()
                await send({"type": f"{event['type']}.complete"})
            return
        self.has_request.set()
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                pass


async def wait_refused(port):
    while True:
        try:
            _, writer = await connect_raw(port)
        except ConnectionError:
            return
        writer.transport.abort()


async def test_shutdown_does_not_wait_for_a_stuck_app(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "hypercorn")
    monkeypatch.setattr(worker, "CANCEL_SECONDS", 0.1)
    app, before = StuckApp(), asyncio.all_tasks()
    async with LiveServer(app) as server:
        _, writer = await connect_raw(server.port)
        writer.write(GET)
        await app.has_request.wait()
    assert "1 connections have not ended in time" in caplog.text
    writer.transport.abort()
    app.release.set()
    await asyncio.gather(*asyncio.all_tasks() - before)


async def test_shutdown_stops_listening_at_once():
    """Connections that are still open keep no listener open."""
    app = StuckApp()
    server = LiveServer(app)
    async with server:
        _, writer = await connect_raw(server.port)
        writer.write(GET)
        await app.has_request.wait()
        server.stop()
        await wait_refused(server.port)
        assert not server.has_stopped
        app.release.set()
        writer.transport.abort()


@pytest.mark.parametrize("turns", range(8))
async def test_shutdown_closes_connections_accepted_last(turns):
    """A connection that is accepted in the turn in which the listener closes does not stay open without a transport."""
    loop = asyncio.get_running_loop()
    async with LiveServer(StuckApp()) as server:
        server.stop()
        for _ in range(turns):
            await asyncio.sleep(0)
        with socket.socket() as late:
            try:
                late.connect(("127.0.0.1", server.port))  # completed by the kernel, before the server accepts it
            except ConnectionRefusedError:
                return
            late.setblocking(False)
            with contextlib.suppress(ConnectionResetError):
                async with asyncio.timeout(PATIENCE):
                    assert await loop.sock_recv(late, 1) == b""
