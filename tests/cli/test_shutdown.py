"""SIGTERM ends the process within `drain_seconds`, whatever its clients do or leave undone."""

import asyncio
import signal
import ssl
import time

import psutil
import pytest

from tests.cli.test_commands import serve
from tests.wire.certificate import write_certificate
from tests.wire.http1 import connect_raw, get_http1, upgrade_request
from tests.wire.http2 import Http2Connection, get_http2

pytestmark = pytest.mark.anyio

DRAIN_SECONDS = 1.0
MARGIN = 5.0
"""Seconds beyond `DRAIN_SECONDS`: the last second for Close frames, the end of the actors, and a machine under load."""

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n"


@pytest.fixture
async def sockets():
    """Opens raw TCP connections, and closes them when the test is over."""
    opened = []

    async def connect(port):
        reader, writer = await connect_raw(port, receive_buffer=4096)
        opened.append(writer)
        return reader, writer

    yield connect
    for writer in opened:
        writer.transport.abort()


async def idle_http1(port, connect):
    reader, writer = await connect(port)
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" not in head.lower()


async def half_a_request(port, connect):
    _, writer = await connect(port)
    writer.write(GET[:30])


async def unread_answers(port, connect):
    """More answers than all buffers can hold, on a connection that the client does not read."""
    _, writer = await connect(port)
    writer.transport.pause_reading()
    writer.write(GET.replace(b"/", b"/protocol.json", 1) * 1000)


async def unread_websocket(port, connect):
    reader, writer = await connect(port)
    writer.write(upgrade_request())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.transport.pause_reading()


async def nothing_at_all(port, connect):
    await connect(port)


HTTP1 = [nothing_at_all, idle_http1, half_a_request, unread_answers, unread_websocket]


async def wait_idle(pid):
    """Wait until the server has handled all that it can handle: it uses no CPU time."""
    process, before = psutil.Process(pid), None
    while before != (now := process.cpu_times()):
        before = now
        await asyncio.sleep(0.1)


async def stop(server):
    """Send SIGTERM and wait for the process. Returns its exit code, its output, and the seconds that it took."""
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    code, output = await server.finish()
    return code, output, time.monotonic() - start


def check(ended):
    code, output, seconds = ended
    assert code == 0
    assert "Traceback" not in output, output
    assert seconds < DRAIN_SECONDS + MARGIN


@pytest.mark.parametrize("client", HTTP1, ids=lambda client: client.__name__)
async def test_shutdown_does_not_wait_for_http1(tmp_path, sockets, client):
    server, url = await serve(tmp_path, "--set", f"server.drain_seconds={DRAIN_SECONDS}")
    port = int(url.rpartition(":")[2])
    async with server:
        await client(port, sockets)
        await get_http1(port)  # answered after the server has accepted the connection before it
        await wait_idle(server.process.pid)
        check(await stop(server))


async def idle(connection):
    """The preface and the settings, and nothing more."""


async def idle_after_a_request(connection):
    peer = await connection.request(get_fields(), end_stream=True)
    await peer.wait_ended()


async def stalled(connection):
    """Its stream windows are 0, so the body of the answer cannot be sent."""
    assert (await connection.request(get_fields(), end_stream=True)).status == 200


async def unclosed_websocket(connection):
    """A WebSocket that does not answer the server's Close."""
    assert (await connection.open_websocket()).status == 200


def get_fields():
    return [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "localhost"),
        ("accept", "text/html"),
    ]


@pytest.mark.parametrize("client", [idle, idle_after_a_request, stalled, unclosed_websocket], ids=lambda c: c.__name__)
async def test_shutdown_does_not_wait_for_http2(tmp_path, client):
    server, url = await serve(tmp_path, "--set", f"server.drain_seconds={DRAIN_SECONDS}")
    port = int(url.rpartition(":")[2])
    async with server:
        connection = await Http2Connection.open(port, initial_window=0 if client is stalled else None)
        try:
            await client(connection)
            await get_http2(port)
            check(await stop(server))
        finally:
            await connection.aclose()


async def test_shutdown_does_not_wait_for_tls(tmp_path, sockets):
    """A client that connects to a TLS port and does not begin the handshake."""
    certfile, keyfile = write_certificate(tmp_path)
    tls = ("--certfile", certfile, "--keyfile", keyfile)
    server, url = await serve(tmp_path, *tls, "--set", f"server.drain_seconds={DRAIN_SECONDS}")
    port = int(url.rpartition(":")[2])
    async with server:
        await sockets(port)
        context = ssl.create_default_context(cafile=certfile)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.transport.abort()
        check(await stop(server))
