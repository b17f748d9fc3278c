"""One of many WebSockets on an HTTP/2 connection misbehaves: the others are not affected."""

import asyncio

import pytest

from tests.server.transport.apps import Sockets, eventually
from tests.wire.http2 import Http2Connection
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, PING, TEXT, frame_bytes

pytestmark = pytest.mark.anyio

SIBLINGS = 40


async def flood(stream, sockets):
    await stream.write(frame_bytes(TEXT, b"x") * 5000)


async def flood_with_pings(stream, sockets):
    await stream.write(frame_bytes(PING, b"x" * 125) * 500)


async def send_a_malformed_frame(stream, sockets):
    await stream.send_frame(0x3, b"x")


async def send_invalid_utf8(stream, sockets):
    await stream.send_frame(TEXT, b"\xff\xfe")


async def send_an_oversized_message(stream, sockets):
    sockets.controls["misbehaving"].websocket._bounds = type(sockets.controls["misbehaving"].websocket._bounds)(
        frame_bytes=100
    )
    sockets.controls["misbehaving"].websocket._splitter.max_bytes = 100
    await stream.send_frame(TEXT, b"x" * 5000)


async def reset(stream, sockets):
    await stream.abort()


async def half_close_without_close_frame(stream, sockets):
    await stream.half_close()


async def send_after_its_close(stream, sockets):
    await stream.write(frame_bytes(CLOSE, b"\x03\xe8") + frame_bytes(TEXT, b"x") * 100)


async def never_finish_a_message(stream, sockets):
    await stream.send_frame(TEXT, b"to be", fin=False)


async def crash_its_handler(stream, sockets):
    await stream.send_text("raise")


async def be_aborted_by_the_server(stream, sockets):
    await sockets.controls["misbehaving"].abort()


@pytest.mark.parametrize(
    "misbehave",
    [
        flood,
        flood_with_pings,
        send_a_malformed_frame,
        send_invalid_utf8,
        send_an_oversized_message,
        reset,
        half_close_without_close_frame,
        send_after_its_close,
        never_finish_a_message,
        crash_its_handler,
        be_aborted_by_the_server,
    ],
    ids=lambda misbehave: misbehave.__name__,
)
async def test_misbehaving_stream_does_not_affect_siblings(misbehave):
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        connection = await Http2Connection.open(server.port)
        streams = [await connection.open_websocket("/ws?mode=echo") for _ in range(SIBLINGS // 2)]
        misbehaving = await connection.open_websocket("/ws?mode=misbehaving")
        streams += [await connection.open_websocket("/ws?mode=echo") for _ in range(SIBLINGS // 2)]
        await eventually(
            lambda: "misbehaving" in sockets.controls and sockets.controls["misbehaving"].websocket is not None
        )
        task = asyncio.create_task(misbehave(misbehaving, sockets))
        for n in range(3):
            await asyncio.gather(*(stream.send_text(str(n)) for stream in streams))
            assert [await stream.receive_text() for stream in streams] == [str(n)] * SIBLINGS
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not connection.is_closed
        await connection.aclose()
