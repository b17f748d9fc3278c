"""The Quart app: composes a whole server from its settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from quart import Quart, Response, ResponseReturnValue, request, websocket
from werkzeug.exceptions import RequestEntityTooLarge

from chat_actors import __version__
from chat_actors.chat import CountRooms, CountSessions, HttpRequest, RoomActor, SessionActor, SessionFactory, Storage
from chat_actors.chat.directory import RoomFactory
from chat_actors.kernel import KernelError
from chat_actors.protocol.document import protocol_document
from chat_actors.server.addresses import client_address
from chat_actors.server.connection import Connection, control_of
from chat_actors.server.origins import is_loopback, may_open
from chat_actors.server.runtime import Runtime
from chat_actors.server.settings import Settings
from chat_actors.server.transport import ChatWebsocketConnection, install
from chat_actors.server.web_files import CLIENT, HEADERS, START, WebFile, load_web_files, web_file

logger = logging.getLogger(__name__)

STOP_WITHIN = 5.0
"""Seconds in which the actors stop, after the connections have ended."""

EXTENSIONS = "/extensions"
"""The path of the endpoints of extensions."""

EXTENSION_BODY_BYTES = 65_536
"""The longest request body that extensions receive."""

ORIGIN_REFUSED = "Pages of this origin may not open a socket here; the operator can add it to server.allowed_origins.\n"

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

    Args:
        settings: The settings in force.
        on_failure: Called with the error when the actor system has failed for good; should end the process.
        storage: By default, the storage of the `[data]` settings.
        room: Makes the room actors.
        session: Makes the session actors.

    Raises:
        UntestedVersion: Hypercorn or Quart has another version than this was tested with.
        ExtensionError: An extension cannot be loaded.
    """
    install()
    app = Quart(__name__, static_folder=None)
    app.asgi_websocket_class = ChatWebsocketConnection
    app.config["MAX_CONTENT_LENGTH"] = EXTENSION_BODY_BYTES
    runtime = Runtime(settings, on_failure=on_failure, storage=storage, room=room, session=session)
    app.extensions["chat_actors"] = runtime
    files = load_web_files()
    document = web_file(msgspec.json.encode(protocol_document(runtime.vocabulary, __version__)), "application/json")

    @app.before_serving
    async def start() -> None:
        await runtime.start()

    @app.after_serving
    async def stop() -> None:
        await runtime.stop(within=STOP_WITHIN)

    @app.before_websocket
    async def refuse_foreign_pages() -> ResponseReturnValue | None:
        origins, host = websocket.headers.getlist("Origin"), websocket.headers.get("Host")
        address, *_ = websocket.scope.get("server") or ("",)
        is_local = settings.server.trusted_proxies == 0 and is_loopback(str(address))
        is_secure = websocket.scheme == "wss"
        if may_open(origins, host, settings.server.allowed_origins, is_secure=is_secure, is_local=is_local):
            return None
        logger.info(
            "a page of %.200r may not open a socket here (server.allowed_origins, server.trusted_proxies)", origins
        )
        return ORIGIN_REFUSED, 403, {"Content-Type": "text/plain; charset=utf-8"}

    @app.websocket("/")
    @app.websocket("/ws")
    async def chat() -> None:
        # The object itself: the context-bound name costs a look-up at each use, and does not work in other tasks.
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
            return await _send(files[START])
        counts = {
            "status": "ok",
            "clients": await runtime.chat.gate.ask(CountSessions(), timeout=ANSWER_WITHIN),
            "rooms": await runtime.chat.directory.ask(CountRooms(), timeout=ANSWER_WITHIN),
        }
        return counts, {"Vary": "Accept", "Cache-Control": "no-store"}

    @app.get("/web/<path:name>")
    async def web(name: str) -> ResponseReturnValue:
        file = files.get(name)
        if file is None:
            return "", 404
        response = await _send(file)
        if name.startswith(CLIENT):
            response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    @app.get("/protocol.json")
    async def protocol() -> ResponseReturnValue:
        return await _send(document)

    @app.get("/healthz")
    async def health() -> ResponseReturnValue:
        try:
            await runtime.chat.gate.ask(CountSessions(), timeout=ANSWER_WITHIN)
        except (KernelError, RuntimeError) as error:
            return {"status": "failing", "problem": str(error)}, 503
        return {"status": "ok"}

    _route_extensions(app, runtime)
    return app


async def _send(file: WebFile) -> Response:
    response = Response(file.body, content_type=file.content_type, headers=dict(HEADERS))
    response.headers["Vary"] = "Accept"
    response.set_etag(file.etag)
    return await response.make_conditional(request)


def _route_extensions(app: Quart, runtime: Runtime) -> None:
    """The endpoints of extensions, below `/extensions`."""

    async def answer(**_: str) -> ResponseReturnValue:
        try:
            body = await request.get_data()
        except RequestEntityTooLarge:
            return {"error": f"a request may have at most {EXTENSION_BODY_BYTES} bytes"}, 413
        asked = HttpRequest(
            request.method,
            request.path.removeprefix(EXTENSIONS),
            dict(request.args.items()),
            {name.lower(): value for name, value in request.headers.items()},
            body if isinstance(body, bytes) else body.encode(),
            client_address(
                request.remote_addr, request.headers.getlist("X-Forwarded-For"), runtime.settings.server.trusted_proxies
            ),
        )
        response = await runtime.serve_http(asked)
        text = b"" if response.json is None else msgspec.json.encode(response.json)
        return Response(text, response.status, {"Content-Type": "application/json", **response.headers})

    for method, path in runtime.endpoints:
        app.add_url_rule(f"{EXTENSIONS}{path}", f"{method} {path}", answer, methods=[method])
