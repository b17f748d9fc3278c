"""Many WebSockets on one HTTP/2 connection, one of them misbehaving in each way: all others go on talking."""

import asyncio

import pytest

from tests.server.transport.apps import Sockets, eventually
from tests.wire.http2 import Http2Connection
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, PING, TEXT, frame_bytes

pytestmark = pytest.mark.anyio

SIBLINGS = 40


async def floods(stream, sockets):
    await stream.write(frame_bytes(TEXT, b"x") * 5000)


async def floods_with_pings(stream, sockets):
    await stream.write(frame_bytes(PING, b"x" * 125) * 500)


async def sends_a_malformed_frame(stream, sockets):
    await stream.send_frame(0x3, b"what?")


async def sends_broken_utf8(stream, sockets):
    await stream.send_frame(TEXT, b"\xff\xfe")


async def sends_too_long_a_message(stream, sockets):
    sockets.controls["odd"].websocket._bounds = type(sockets.controls["odd"].websocket._bounds)(frame_bytes=100)
    sockets.controls["odd"].websocket._splitter.longest = 100
    await stream.send_frame(TEXT, b"x" * 5000)


async def resets(stream, sockets):
    await stream.abort()


async def ends_its_half_without_a_close(stream, sockets):
    await stream.half_close()


async def talks_on_after_its_close(stream, sockets):
    await stream.write(frame_bytes(CLOSE, b"\x03\xe8") + frame_bytes(TEXT, b"x") * 100)


async def begins_a_message_and_goes_silent(stream, sockets):
    await stream.send_frame(TEXT, b"to be", fin=False)


async def makes_its_handler_fail(stream, sockets):
    await stream.send_text("raise")


async def is_aborted_by_the_server(stream, sockets):
    await sockets.controls["odd"].abort()


@pytest.mark.parametrize(
    "misbehave",
    [
        floods,
        floods_with_pings,
        sends_a_malformed_frame,
        sends_broken_utf8,
        sends_too_long_a_message,
        resets,
        ends_its_half_without_a_close,
        talks_on_after_its_close,
        begins_a_message_and_goes_silent,
        makes_its_handler_fail,
        is_aborted_by_the_server,
    ],
    ids=lambda misbehave: misbehave.__name__,
)
async def test_one_of_many_misbehaves(misbehave):
    sockets = Sockets()
    async with LiveServer(sockets.app) as server:
        connection = await Http2Connection.open(server.port)
        streams = [await connection.open_websocket("/ws?mode=echo") for _ in range(SIBLINGS // 2)]
        odd = await connection.open_websocket("/ws?mode=odd")
        streams += [await connection.open_websocket("/ws?mode=echo") for _ in range(SIBLINGS // 2)]
        await eventually(lambda: "odd" in sockets.controls and sockets.controls["odd"].websocket is not None)
        misbehaving = asyncio.create_task(misbehave(odd, sockets))
        for round_of in range(3):
            await asyncio.gather(*(stream.send_text(f"{round_of}") for stream in streams))
            assert [await stream.receive_text() for stream in streams] == [f"{round_of}"] * SIBLINGS
        misbehaving.cancel()
        await asyncio.gather(misbehaving, return_exceptions=True)
        assert not connection.is_closed
        await connection.aclose()
