"""The Quart app: the composition of a whole server from its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quart import Quart, ResponseReturnValue, request, websocket

from chat_actors.chat import CountRooms, CountSessions, RoomActor, SessionActor, SessionFactory, Storage
from chat_actors.chat.directory import RoomFactory
from chat_actors.kernel import KernelError
from chat_actors.server.addresses import client_address
from chat_actors.server.connection import Connection, control_of
from chat_actors.server.pages import WELCOME
from chat_actors.server.runtime import Runtime
from chat_actors.server.settings import Settings
from chat_actors.server.transport import ChatWebsocketConnection, install

STOP_WITHIN = 5.0
"""Seconds for the end of the actors once the server has closed its connections."""

HTML_HEADERS = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'"}

ANSWER_WITHIN = 5.0
"""Seconds that a status page waits for its counts."""


def create_app(
    settings: Settings,
    *,
    on_failure: Callable[[BaseException], None],
    storage: Storage | None = None,
    room: RoomFactory = RoomActor,
    session: SessionFactory = SessionActor,
) -> Quart:
    """A whole chat server as an ASGI app.

    `on_failure(error)` is called when the actor system has failed for good; it should end the process. Without
    `storage`, it is opened as `[data]` says. `room` and `session` make the actors of these kinds.
    Raises `UntestedVersion`, `ExtensionError`.
    """
    install()
    app = Quart(__name__, static_folder=None)
    app.asgi_websocket_class = ChatWebsocketConnection
    runtime = Runtime(settings, on_failure=on_failure, storage=storage, room=room, session=session)
    app.extensions["chat_actors"] = runtime

    @app.before_serving
    async def start() -> None:
        await runtime.start()

    @app.after_serving
    async def stop() -> None:
        await runtime.stop(within=STOP_WITHIN)

    @app.websocket("/")
    @app.websocket("/ws")
    async def chat() -> None:
        # The object itself, once: the context-bound name costs a look-up at each use, and none works across tasks.
        socket: Any = websocket._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - Quart documents it
        address = client_address(
            socket.remote_addr, socket.headers.getlist("X-Forwarded-For"), settings.server.trusted_proxies
        )
        control = control_of(socket)
        if control is not None:
            runtime.drain_with(control)
        await Connection(runtime.chat, settings.limits, address, settings.server.compression).serve(socket)

    @app.get("/")
    async def status() -> ResponseReturnValue:
        if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
            return WELCOME, HTML_HEADERS
        return {
            "status": "ok",
            "clients": await runtime.chat.gate.ask(CountSessions(), timeout=ANSWER_WITHIN),
            "rooms": await runtime.chat.directory.ask(CountRooms(), timeout=ANSWER_WITHIN),
        }

    @app.get("/healthz")
    async def health() -> ResponseReturnValue:
        try:
            await runtime.chat.gate.ask(CountSessions(), timeout=ANSWER_WITHIN)
        except (KernelError, RuntimeError) as error:
            return {"status": "failing", "problem": str(error)}, 503
        return {"status": "ok"}

    return app
