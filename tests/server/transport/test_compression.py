"""permessage-deflate, where the client offers it and the app allows it."""

import zlib

import pytest
from quart import websocket
from websockets.asyncio.client import connect

from chat_actors.protocol import compressed_text_frame, text_frame
from chat_actors.server.transport import EXTENSION, Bounds, PeerDisconnected
from chat_actors.server.transport.deflate import BoundedDeflate, agree
from tests.server.transport.apps import app_of
from tests.wire.http1 import open_http1
from tests.wire.http2 import open_http2
from tests.wire.live_server import LiveServer
from tests.wire.peer import TEXT, frame_bytes

pytestmark = pytest.mark.anyio

FRAME_BYTES = 10_000
OFFER = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")]

both = pytest.mark.parametrize("connect_raw", [open_http1, open_http2], ids=["http1", "http2"])


def deflated(payload):
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.fixture
async def server():
    async def echo():
        socket = websocket._get_current_object()
        control = socket.scope["extensions"][EXTENSION]
        control.limit(Bounds(frame_bytes=FRAME_BYTES))
        control.allow_compression()
        await socket.accept()
        try:
            while True:
                await socket.send(str(len(await socket.receive())))
        except PeerDisconnected:
            pass

    async with LiveServer(app_of(echo)) as server:
        yield server


async def test_offered_compression_is_used(server):
    async with connect(f"ws://127.0.0.1:{server.port}/ws") as client:
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        for size in (1, 500, 9_000):
            await client.send("x" * size)
            assert await client.recv() == str(size)


async def test_client_without_offer_gets_plain_frames(server):
    async with connect(f"ws://127.0.0.1:{server.port}/ws", compression=None) as client:
        assert client.protocol.extensions == []
        await client.send("x" * 9_000)
        assert await client.recv() == "9000"


@both
async def test_plain_and_compressed_messages_may_alternate(server, connect_raw):
    peer = await connect_raw(server.port, headers=OFFER)
    for n in range(3):
        await peer.write(frame_bytes(TEXT, deflated(b"x" * (100 + n)), rsv1=True) + frame_bytes(TEXT, b"y" * n))
    assert [await peer.receive_text() for _ in range(6)] == ["100", "0", "101", "1", "102", "2"]
    await peer.aclose()


@both
async def test_decompression_beyond_the_limit_closes_1009(server, connect_raw):
    peer = await connect_raw(server.port, headers=OFFER)
    await peer.send_frame(TEXT, deflated(b"x" * 50_000_000), rsv1=True)
    assert (await peer.receive_close())[0] == 1009
    await peer.aclose()


@both
async def test_invalid_deflate_data_closes_with_1007(server, connect_raw):
    peer = await connect_raw(server.port, headers=OFFER)
    await peer.send_frame(TEXT, b"\xff\xff\xff\xff", rsv1=True)
    assert (await peer.receive_close())[0] == 1007
    await peer.aclose()


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=99",
        "permessage-deflate; server_max_window_bits=many",
        "x-webkit-deflate-frame",
    ],
)
def test_unsupported_compression_offer_is_declined(offer):
    assert agree([offer], FRAME_BYTES) is None


def test_second_offer_is_accepted_if_the_first_is_not():
    deflate, answer = agree(["permessage-deflate; server_max_window_bits=10", "permessage-deflate"], FRAME_BYTES)
    assert isinstance(deflate, BoundedDeflate)
    assert answer == b"permessage-deflate; client_no_context_takeover; server_no_context_takeover"


def test_frame_is_compressed_only_if_smaller():
    short, long = b"hello", b"hello " * 100
    assert compressed_text_frame(short) == text_frame(short)
    frame = compressed_text_frame(long)
    assert len(frame) < 100
    assert frame[0] == 0xC1
    assert zlib.decompressobj(-15).decompress(frame[2:] + b"\0\0\xff\xff") == long
