"""A real Hypercorn in the test's own event loop."""

import asyncio
import logging

from hypercorn.config import Config
from hypercorn.utils import wrap_app

from chat_actors.server.transport import worker_serve
from tests.patience import PATIENCE


def fail_test(error):
    """For an app whose actor system must not fail."""
    raise AssertionError("the actor system failed") from error


class LiveServer:
    """`async with LiveServer(app) as server:` serves an ASGI app on `server.port`, and asserts that it ends."""

    def __init__(self, app, *, certfile=None, keyfile=None):
        self.app = app
        self._config = Config()
        self._config.bind = ["127.0.0.1:0"]
        self._config.certfile, self._config.keyfile = certfile, keyfile
        self._config.errorlog = logging.getLogger("hypercorn")
        self._config.graceful_timeout = 1.0
        self._stopping = asyncio.Event()

    async def __aenter__(self):
        sockets = self._config.create_sockets()
        self.port = (sockets.secure_sockets or sockets.insecure_sockets)[0].getsockname()[1]
        listening = asyncio.Event()

        async def until_stopped():
            listening.set()
            await self._stopping.wait()

        self._serving = asyncio.create_task(
            worker_serve(wrap_app(self.app, 0, "asgi"), self._config, sockets=sockets, shutdown_trigger=until_stopped)
        )
        waiting = asyncio.create_task(listening.wait())
        await asyncio.wait({waiting, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._serving.done():
            self._serving.result()
        return self

    def stop(self):
        """Begin the shutdown."""
        self._stopping.set()

    @property
    def has_stopped(self):
        return self._serving.done()

    async def __aexit__(self, *exc):
        self.stop()
        async with asyncio.timeout(PATIENCE):
            await self._serving
