"""Regression tests for faults of stock Hypercorn and Quart that a client can trigger, over real sockets."""

import asyncio

import pytest

from tests.patience import PATIENCE
from tests.server.transport.apps import plain
from tests.wire.http1 import open_http1, upgrade_request
from tests.wire.http2 import Http2Connection, open_http2
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, PING, TEXT, frame_bytes

pytestmark = pytest.mark.anyio


async def _eventually(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - a look into the server's own buffers: nothing there sets an event
            await asyncio.sleep(0.001)


async def test_b1_blocked_handler_stops_the_reading(peer, recorder):
    recorder.may_read.clear()
    flood = frame_bytes(TEXT, b"x" * 900)
    sending = asyncio.create_task(_send_many(peer, flood, 50_000))
    done, _ = await asyncio.wait({sending}, timeout=1.0)
    assert not done, "45 MB went into a server whose handler reads nothing"
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def _send_many(peer, data, times):
    for _ in range(times):
        await peer.write(data)


async def _never_accepts(events):
    async def handler(receive, send):
        while (event := await receive())["type"] != "websocket.disconnect":
            assert event["type"] == "websocket.connect"
        events.put_nowait(event["code"])

    return LiveServer(plain(handler))


async def test_b2_early_data_ends_handler_and_connection():
    events = asyncio.Queue()
    async with await _never_accepts(events) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(upgrade_request())
        await writer.drain()
        writer.write(frame_bytes(TEXT, b"too early"))
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
            assert await events.get() == 1006
        writer.transport.abort()


async def test_b2_early_data_ends_handler_and_http2_stream():
    events = asyncio.Queue()
    async with await _never_accepts(events) as server:
        connection = await Http2Connection.open(server.port)
        opening = asyncio.create_task(connection.open_websocket())
        await _eventually(lambda: connection._streams)
        (stream_id,) = connection._streams
        connection.h2.send_data(stream_id, frame_bytes(TEXT, b"too early"))
        await connection.flush()
        async with asyncio.timeout(PATIENCE):
            assert (await opening).status == 400
            assert await events.get() == 1006
        assert not connection.is_closed
        await connection.aclose()


async def test_b4_abort_frees_a_client_that_never_reads(server, recorder):
    peer = await open_http1(server.port)
    peer._reading.cancel()  # from here on it reads nothing
    await _eventually(lambda: recorder.socket is not None)
    sending = asyncio.create_task(_send_for_ever(recorder.socket))
    stream = recorder.control
    transport = stream.send.__self__.send.__self__.writer.transport
    await _eventually(lambda: transport.get_write_buffer_size() > 60_000)
    await recorder.control.abort()
    assert await recorder.next() == 1006
    await _eventually(lambda: recorder.alive == 0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await peer.aclose()


async def _send_for_ever(socket):
    while True:
        await socket.send("x" * 50_000)


async def test_b5_zero_window_bounds_the_stream_buffer(server, recorder):
    connection = await Http2Connection.open(server.port)
    connection._on_event = _without_acknowledging(connection, connection._on_event)
    await connection.open_websocket()
    await _eventually(lambda: recorder.socket is not None)
    sent = 0

    async def flood():
        nonlocal sent
        while True:
            await recorder.socket.send("x" * 10_000)
            sent += 10_000

    sending = asyncio.create_task(flood())
    stream = recorder.control
    buffers = stream.send.__self__.stream_buffers
    await _eventually(lambda: sent >= 65_535 and len(buffers[stream.stream_id].buffer) > 0)
    stalled = sent
    for _ in range(200):
        await asyncio.sleep(0)
    assert sent - stalled <= 65_536
    assert len(buffers[stream.stream_id].buffer) <= 65_536
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await connection.aclose()


def _without_acknowledging(connection, on_event):
    def handle(event):
        if type(event).__name__ != "DataReceived":
            on_event(event)

    return handle


async def test_b6_late_close_reply_keeps_sibling_streams(server, recorder):
    connection = await Http2Connection.open(server.port)
    sibling, closing = await connection.open_websocket(), await connection.open_websocket()
    await closing.send_text("close me")
    assert (await closing.receive_close())[0] == 4000
    await closing.wait_ended()
    assert await recorder.next() == "close me"
    connection.h2.send_data(closing.stream_id, frame_bytes(CLOSE, b"\x0f\xa0"))
    await connection.flush()
    await sibling.send_text("still here")
    assert await recorder.next() == "still here"
    assert not connection.is_closed
    await connection.aclose()


async def test_b7_no_handler_outlives_its_server(recorder):
    async with LiveServer(recorder.app) as server:
        peers = [await open_http1(server.port), await open_http2(server.port)]
        await _eventually(lambda: recorder.alive == 2)
    assert recorder.alive == 0
    for peer in peers:
        await peer.aclose()


async def test_end_of_stream_without_close_is_a_disconnect(peer, recorder):
    await peer.half_close()
    assert await recorder.next() == 1006


async def test_aborted_stream_is_a_disconnect(peer, recorder):
    await peer.abort()
    assert await recorder.next() == 1006


@pytest.mark.parametrize("protocol", [None, "chat"])
async def test_connect_without_websocket_is_refused(server, recorder, protocol):
    connection = await Http2Connection.open(server.port)
    if protocol is None:
        fields = [(":method", "CONNECT"), (":authority", "localhost:80")]
        refused = await connection.request(fields)
    else:
        refused = await connection.open_websocket(protocol=protocol)
    assert refused.status == 501
    sibling = await connection.open_websocket()
    await sibling.send_text("hello")
    assert await recorder.next() == "hello"
    await connection.aclose()


async def test_abort_of_a_stream_leaves_its_siblings_open(server, recorder):
    connection = await Http2Connection.open(server.port)
    aborted = await connection.open_websocket()
    await _eventually(lambda: recorder.socket is not None)
    control = recorder.control
    sibling = await connection.open_websocket()
    await control.abort()
    await aborted.wait_ended()
    assert await recorder.next() == 1006
    await sibling.send_text("hello")
    assert await recorder.next() == "hello"
    await connection.aclose()


async def test_ping_on_a_stalled_stream_stalls_no_sibling(server, recorder):
    connection = await Http2Connection.open(server.port)
    on_event = connection._on_event
    connection._on_event = _without_acknowledging(connection, on_event)
    stalled = await connection.open_websocket()
    await _eventually(lambda: recorder.socket is not None)
    control, sending = recorder.control, asyncio.create_task(_send_for_ever(recorder.socket))
    await _eventually(lambda: control.backlog() >= 32_768)
    await stalled.send_frame(PING, b"are you there")
    await stalled.send_frame(CLOSE, b"\x03\xe8")
    connection._on_event = on_event
    sibling = await connection.open_websocket()
    await sibling.send_text("hello")
    assert await recorder.next() == 1000
    assert await recorder.next() == "hello"
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await connection.aclose()
