"""`chat-actors serve`: runs the app on Hypercorn in this process, up to the orderly shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from hypercorn.config import Config
from hypercorn.utils import wrap_app

from chat_actors.server.app import create_app
from chat_actors.server.runtime import open_storage
from chat_actors.server.settings import Settings
from chat_actors.server.transport import worker_serve

FAILED = 70
"""Exit code after a failure of the actor system (EX_SOFTWARE of sysexits.h)."""


class CannotListen(Exception):
    """The address to listen on cannot be used."""

    def __init__(self, bind: str, error: OSError) -> None:
        self.bind = bind
        self.error = error

    def __str__(self) -> str:
        return f"cannot listen on {self.bind}: {self.error.strerror or self.error}; choose another with --bind"


async def serve(settings: Settings, announce: Callable[[str], None]) -> int:
    """Serve until SIGINT or SIGTERM, then shut down in order. A second signal ends the process at once.

    `announce(url)` is called once it listens. Returns the exit code. Raises `CannotListen`, `StorageError`.
    """
    stopping = asyncio.Event()
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        stopping.set()

    config = _hypercorn_config(settings)
    try:
        sockets = config.create_sockets()
    except OSError as error:
        raise CannotListen(settings.server.bind, error) from error
    # Opened here and not in the app's startup, where Hypercorn would wrap its errors.
    app = create_app(settings, on_failure=fail, storage=await open_storage(settings))
    listening = (sockets.secure_sockets or sockets.insecure_sockets)[0]

    def on_signal() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    async def until_stopped() -> None:
        announce(_url(listening.getsockname(), is_secure=config.ssl_enabled))
        await stopping.wait()  # then the worker stops listening, and the clients are closed: see Runtime.drain_with

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, on_signal)
    await worker_serve(
        wrap_app(app, config.wsgi_max_body_size, "asgi"), config, sockets=sockets, shutdown_trigger=until_stopped
    )
    return FAILED if failures else 0


def _hypercorn_config(settings: Settings) -> Config:
    config = Config()
    config.bind = [settings.server.bind]
    config.certfile = settings.server.certfile or None
    config.keyfile = settings.server.keyfile or None
    config.include_server_header = False
    config.errorlog = logging.getLogger("hypercorn")
    config.graceful_timeout = settings.server.drain_seconds
    if settings.limits.frame_bytes:
        config.websocket_max_message_size = settings.limits.frame_bytes
    return config


def _url(address: object, *, is_secure: bool) -> str:
    match address:
        case (str(host), int(port), *_):
            host = f"[{host}]" if ":" in host else host
            return f"{'https' if is_secure else 'http'}://{host}:{port}"
        case _:
            return f"unix:{address}"
