"""Apps for tests of the seam, and `eventually`, which polls a condition."""

import asyncio

from quart import Quart, websocket

from chat_actors.server.transport import EXTENSION, ChatWebsocketConnection, PeerDisconnected, install
from tests.patience import PATIENCE


async def eventually(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - a look into the server's own buffers: nothing there sets an event
            await asyncio.sleep(0.001)


def app_of(handler):
    install()
    app = Quart(__name__)
    app.asgi_websocket_class = ChatWebsocketConnection
    app.websocket("/ws")(handler)
    return app


def plain(handler):
    """An ASGI app of no framework: `await handler(receive, send)` for each WebSocket."""
    install()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
        else:
            await handler(receive, send)

    return app


class Sockets:
    """An app whose sockets behave as the query's `mode` asks; it keeps the control of each mode's last one."""

    def __init__(self):
        self.app = app_of(self.handle)
        self.controls = {}
        self.alive = 0
        self.sent = 0
        self.release = asyncio.Event()
        self._events = asyncio.Queue()

    async def handle(self):
        socket = websocket._get_current_object()
        mode = socket.args.get("mode", "echo")
        self.controls[mode] = socket.scope["extensions"][EXTENSION]
        self.alive += 1
        try:
            await socket.accept()
            await self._behave(socket, mode)
        except PeerDisconnected as gone:
            self._events.put_nowait(gone.code)
        finally:
            self.alive -= 1

    async def _behave(self, socket, mode):
        match mode:
            case "return":
                return
            case "idle":
                await self.release.wait()
                return
            case "flood":
                while self.controls[mode].closed is False:
                    await socket.send("x" * 10_000)
                    self.sent += 1
                await socket.receive()
            case "slow":
                await self.release.wait()
        while True:
            message = await socket.receive()
            self._events.put_nowait(message)
            if message == "raise":
                raise ValueError("asked to fail")
            await socket.send(message)

    async def next(self):
        async with asyncio.timeout(PATIENCE):
            return await self._events.get()

    def is_paused(self, mode):
        return self.controls[mode].websocket.is_paused

    def protocol(self, mode):
        return self.controls[mode].send.__self__

    def transport(self, mode):
        return self.protocol(mode).send.__self__.writer.transport
