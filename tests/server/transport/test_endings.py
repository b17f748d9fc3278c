"""The end of a connection: for the client, for the handler, and for the server's descriptors and tasks."""

import asyncio
from pathlib import Path

import pytest
from hypercorn.middleware import ProxyFixMiddleware
from quart import websocket

from chat_actors.server.transport import PeerDisconnected, install
from chat_actors.server.transport.tcp_server import IdleTimer
from tests.server.transport.apps import Sockets, app_of, eventually
from tests.wire.certificate import client_context, write_certificate
from tests.wire.http1 import get_http1, open_http1
from tests.wire.http2 import Http2Connection, open_http2
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, TEXT, frame_bytes

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("connect", [open_http1, open_http2], ids=["http1", "http2"])


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


@both
async def test_messages_before_a_close_are_delivered(connect):
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        peer = await connect(server.port, "/ws?mode=slow")
        await peer.write(b"".join(frame_bytes(TEXT, b"%d" % n) for n in range(100)) + frame_bytes(CLOSE, b"\x0f\xa1"))
        await eventually(lambda: sockets.is_paused("slow"))
        sockets.release.set()
        assert [await sockets.next() for _ in range(101)] == [*(str(n) for n in range(100)), 4001]
        assert sockets.controls["slow"].peer_close_code == 4001
        await peer.aclose()


async def test_http2_queued_messages_survive_the_disconnect():
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        peer = await open_http2(server.port, "/ws?mode=slow")
        await peer.write(b"".join(frame_bytes(TEXT, b"%d" % n) for n in range(100)) + frame_bytes(CLOSE, b"\x0f\xa1"))
        await peer.aclose()
        await eventually(lambda: "slow" in sockets.controls and sockets.controls["slow"].closed)
        sockets.release.set()
        assert [await sockets.next() for _ in range(101)] == [*(str(n) for n in range(100)), 4001]


@both
async def test_failing_handler_closes_with_1011(connect, caplog):
    async with LiveServer(Sockets().app) as server:
        peer = await connect(server.port)
        await peer.send_text("raise")
        assert (await peer.receive_close())[0] == 1011
        await peer.aclose()
    assert errors(caplog) == ["Exception on websocket /ws"]


@both
@pytest.mark.parametrize("in_a_group", [False, True])
async def test_peer_disconnected_from_handler_is_no_error(connect, in_a_group, caplog):
    ended = asyncio.Event()

    async def handler():
        try:
            if in_a_group:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(websocket.receive())
            await websocket.receive()
        finally:
            ended.set()

    async with LiveServer(app_of(handler)) as server:
        peer = await connect(server.port)
        await peer.close(1000)
        await asyncio.wait_for(ended.wait(), 10)
        await peer.aclose()
    assert errors(caplog) == []


@both
async def test_close_after_a_disconnect_does_nothing(connect, caplog):
    ended = asyncio.Event()

    async def handler():
        try:
            await websocket.receive()
        except PeerDisconnected:
            await websocket.close(1000)
            await websocket.close(1000)
            ended.set()

    async with LiveServer(app_of(handler)) as server:
        peer = await connect(server.port)
        await peer.close(1000)
        await asyncio.wait_for(ended.wait(), 10)
        await peer.aclose()
    assert errors(caplog) == []


@both
async def test_handler_may_return_with_messages_unread(connect):
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        peer = await connect(server.port, "/ws?mode=idle")
        sending = asyncio.create_task(peer.write(frame_bytes(TEXT, b"x" * 1000) * 60))
        await eventually(lambda: sockets.is_paused("idle"))
        sockets.release.set()
        assert (await peer.receive_close())[0] == 1000
        await asyncio.wait_for(sending, 10)
        await peer.wait_ended()
        await peer.aclose()


@both
async def test_b4_abort_releases_a_blocked_reader(connect):
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        before = descriptors()
        peer = await connect(server.port, "/ws?mode=idle")
        sending = asyncio.create_task(peer.write(frame_bytes(TEXT, b"x" * 60_000) * 100))
        await eventually(lambda: sockets.is_paused("idle"))
        await sockets.controls["idle"].abort()
        await peer.wait_ended()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        sockets.release.set()
        await eventually(lambda: sockets.alive == 0)
        await peer.aclose()
        await eventually(lambda: descriptors() == before)


@both
async def test_abort_works_under_tls(connect, tmp_path):
    sockets = Sockets()
    certfile, keyfile = write_certificate(tmp_path)
    async with LiveServer(sockets.app, certfile=str(certfile), keyfile=str(keyfile)) as server:
        tls = client_context(certfile, "h2" if connect is open_http2 else "http/1.1")
        peer = await connect(server.port, tls=tls)
        await peer.send_text("hello")
        assert await peer.receive_text() == "hello"
        await sockets.controls["echo"].abort()
        await peer.wait_ended()
        assert [await sockets.next(), await sockets.next()] == ["hello", 1006]
        await peer.aclose()


def connection_tasks():
    return [task for task in asyncio.all_tasks() if "ChatTCPServer.run" in repr(task.get_coro())]


@both
async def test_b7_cancelled_connection_ends_its_handler(connect):
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        peer = await connect(server.port)
        await eventually(lambda: sockets.alive == 1)
        (task,) = connection_tasks()
        task.cancel()
        await peer.wait_ended()
        await eventually(lambda: sockets.alive == 0)
        await peer.aclose()


async def test_b7_crashed_http2_connection_ends_its_handlers(monkeypatch, caplog):
    sockets = Sockets()

    async def crash(event):
        raise RuntimeError("injected")

    async with LiveServer(sockets.app) as server:
        peer = await open_http2(server.port)
        await eventually(lambda: sockets.alive == 1)
        monkeypatch.setattr(sockets.protocol("echo"), "handle", crash)
        await peer.send_text("x")
        await peer.wait_ended()
        await eventually(lambda: sockets.alive == 0)
        await peer.aclose()
    assert errors(caplog) == ["a connection has failed; its client has to reconnect"]


async def test_b7_shutdown_ignores_unread_data_over_http1():
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        peer = await open_http1(server.port, "/ws?mode=flood", receive_buffer=4096)
        peer.stop_reading()
        await eventually(lambda: sockets.transport("flood").get_write_buffer_size() > 0)
    assert sockets.alive == 0
    await peer.aclose()


async def test_b7_shutdown_ignores_unread_data_over_http2():
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        connection = await Http2Connection.open(server.port, initial_window=0)
        await connection.open_websocket("/ws?mode=flood")
        await eventually(lambda: sockets.controls["flood"].backlog() > 32_768)
    assert sockets.alive == 0
    await connection.aclose()


async def test_shutdown_closes_with_1012_over_http1():
    async with LiveServer(Sockets().app) as server:
        peer = await open_http1(server.port)
        await peer.send_text("hello")
        await peer.receive_text()
    assert (await peer.receive_close())[0] == 1012
    await peer.aclose()


async def test_refused_handshake_ends_its_connection():
    async with LiveServer(Sockets().app) as server:
        peer = await open_http1(server.port, headers=[("Sec-WebSocket-Version", "8")])
        assert peer.status == 400
        await peer.wait_ended()
        await peer.aclose()


@both
async def test_before_websocket_refuses_before_the_upgrade(connect):
    app = Sockets().app

    @app.before_websocket
    async def refuse():
        return "not here", 403

    async with LiveServer(app) as server:
        peer = await connect(server.port)
        assert peer.status == 403
        await peer.wait_ended()
        await peer.aclose()


@both
async def test_app_of_another_framework_works(connect):
    install()

    async def plain(scope, receive, send):
        assert scope["type"] == "websocket"
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        assert event == {"type": "websocket.disconnect", "code": 4001}

    async def with_lifespan(scope, receive, send):
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
        else:
            await plain(scope, receive, send)

    async with LiveServer(ProxyFixMiddleware(with_lifespan)) as server:
        peer = await connect(server.port)
        await peer.send_text("hello")
        assert await peer.receive_text() == "hello"
        await peer.close(4001)
        await peer.aclose()


@pytest.mark.parametrize("number", [1, 3])
async def test_http2_close_frames_are_sent_during_shutdown(number):
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        connection = await Http2Connection.open(server.port)
        peers = [await connection.open_websocket("/ws?mode=idle") for _ in range(number)]
        await eventually(lambda: sockets.alive == number)
        server._stopping.set()
        await sockets.controls["idle"].wait_draining()
        sockets.release.set()
    assert [(await peer.receive_close())[0] for peer in peers] == [1000] * number
    await connection.aclose()


@pytest.mark.parametrize("is_secure", [False, True])
async def test_shutdown_reads_late_input_over_http2(is_secure, tmp_path):
    """Closing a socket with unread input would reset the connection, and Close frames on their way would be lost."""
    certfile, keyfile = write_certificate(tmp_path) if is_secure else (None, None)
    sockets = Sockets()
    async with LiveServer(sockets.app, certfile=certfile, keyfile=keyfile) as server:
        connection = await Http2Connection.open(server.port, client_context(certfile, "h2") if is_secure else None)
        peers = [await connection.open_websocket("/ws?mode=idle") for _ in range(2)]
        await eventually(lambda: sockets.alive == 2)
        connection.pause_reading()
        server.stop()
        await sockets.controls["idle"].wait_draining()
        sockets.release.set()
        for _ in range(100):
            connection.h2.ping(bytes(8))
            await connection.flush()
            await asyncio.sleep(0)
        connection.resume_reading()
        assert [(await peer.receive_close())[0] for peer in peers] == [1000, 1000]
        await connection.aclose()


@pytest.mark.parametrize("settings", ["AAQAAAAA", "AAQ", "!!!", ""])
async def test_upgrade_to_h2c_is_ignored(settings, caplog):
    app = Sockets().app

    @app.get("/")
    async def page():
        return "a page"

    async with LiveServer(app) as server:
        headers = [("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", settings)]
        status, _, body = await get_http1(server.port, headers=headers)
    assert (status, body) == (200, b"a page")
    assert errors(caplog) == []


@both
async def test_failed_accept_is_answered_with_a_refusal(connect, caplog):
    async def handler():
        await websocket.accept(subprotocol="nobody offered this")

    async with LiveServer(app_of(handler)) as server:
        peer = await connect(server.port)
        assert peer.status == 403  # of Quart's making: it takes the WebSocket for accepted, and closes it
        await peer.wait_ended()
        await peer.aclose()
    assert errors(caplog) == ["Exception on websocket /ws"]


async def test_cancelled_timer_restart_leaves_no_coroutine():
    made = []
    timer = IdleTimer()
    async with timer._lock:  # as while an earlier timeout is being ended
        restart = asyncio.create_task(timer.restart(None, lambda: made.append("timeout")))
        await asyncio.sleep(0)
        restart.cancel()
        await asyncio.wait({restart})
    assert restart.cancelled()
    assert made == []
