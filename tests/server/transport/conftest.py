import asyncio

import pytest
from quart import Quart, websocket

from chat_actors.server.transport import EXTENSION, Bounds, ChatWebsocketConnection, PeerDisconnected, install
from tests.patience import PATIENCE
from tests.server.transport.fakes import Rig
from tests.wire.http1 import open_http1
from tests.wire.http2 import open_http2
from tests.wire.live_server import LiveServer

FRAME_BYTES = 1000


class Recorder:
    """An app whose one handler records each message and the disconnect, in order."""

    def __init__(self):
        self.received = asyncio.Queue()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.alive = 0
        self.socket = None
        self.app = Quart(__name__)
        self.app.asgi_websocket_class = ChatWebsocketConnection
        self.app.websocket("/ws")(self.handle)

    async def handle(self):
        self.socket = socket = websocket._get_current_object()
        socket.scope["extensions"][EXTENSION].limit(Bounds(frame_bytes=FRAME_BYTES))
        self.alive += 1
        try:
            await socket.accept()
            while True:
                await self.may_read.wait()
                message = await socket.receive()
                self.received.put_nowait(message)
                if message == "close me":
                    await socket.close(4000, "as you wish")
                    return
                if message == "fail":
                    raise ValueError("asked to fail")
        except PeerDisconnected as gone:
            self.received.put_nowait(gone.code)
        except asyncio.CancelledError:
            self.received.put_nowait("cancelled")
            raise
        finally:
            self.alive -= 1

    @property
    def control(self):
        return self.socket.scope["extensions"][EXTENSION]

    async def next(self):
        async with asyncio.timeout(PATIENCE):
            return await self.received.get()


@pytest.fixture
async def rig():
    return Rig(frame_bytes=1000, backlog_bytes=5000)


@pytest.fixture
def recorder():
    install()
    return Recorder()


@pytest.fixture
async def server(recorder):
    async with LiveServer(recorder.app) as server:
        yield server


@pytest.fixture(params=["http1", "http2"])
async def peer(request, server):
    peer = await (open_http1 if request.param == "http1" else open_http2)(server.port)
    yield peer
    await peer.aclose()
