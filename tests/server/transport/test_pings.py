"""Pings: a client that has vanished without a FIN, and one that answers."""

import pytest

from tests.server.transport.apps import Sockets
from tests.wire.http1 import open_http1
from tests.wire.http2 import open_http2
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, PING, PONG

pytestmark = pytest.mark.anyio

both = pytest.mark.parametrize("connect", [open_http1, open_http2], ids=["http1", "http2"])


def pinging(app):
    server = LiveServer(app)
    server._config.websocket_ping_interval = 0.05
    return server


@both
async def test_client_that_answers_pings_stays_connected(connect):
    async with pinging(Sockets().app) as server:
        peer = await connect(server.port)
        for _ in range(5):
            ping = await peer.receive()
            assert ping.opcode == PING
            await peer.send_frame(PONG, ping.payload)
        await peer.send_text("hello")
        while (frame := await peer.receive()).opcode == PING:
            await peer.send_frame(PONG, frame.payload)
        assert frame.payload == b"hello"
        await peer.aclose()


@both
async def test_sending_client_without_pongs_is_closed(connect):
    sockets = Sockets()
    async with pinging(sockets.app) as server:
        peer = await connect(server.port)
        pings = 0
        while (frame := await peer.receive()).opcode != CLOSE:
            if frame.opcode == PING:
                pings += 1
                await peer.send_text("I do talk")
        assert pings == 2
        assert int.from_bytes(frame.payload[:2], "big") == 1008
        await peer.wait_ended()
        while (event := await sockets.next()) == "I do talk":
            pass
        assert event == 1008
        await peer.aclose()
