"""Quart's side of a WebSocket: the handler runs in the connection's own task and reads straight from the server."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Response, Websocket
from quart.asgi import ASGIWebsocketConnection
from quart.typing import ResponseTypes

from chat_actors.server.transport.control import EXTENSION, Control

NORMAL, ABNORMAL, INTERNAL_ERROR = 1000, 1006, 1011


class PeerDisconnected(Exception):
    """The client has disconnected, and everything it sent is delivered. `code`: its close code, or 1006 without one."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"the client has closed the connection ({self.code})"


class _Inbound:
    """Replaces Quart's unbounded queue: receives from the server only when the handler does.

    The bound is then the server's own queue, and behind it the socket.
    """

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive
        self.has_ended = False

    async def get(self) -> str | bytes:
        """The next message. Raises `PeerDisconnected` after the last one."""
        while True:
            event: Any = await self._receive()
            match event["type"]:
                case "websocket.receive":
                    text: str | None = event.get("text")
                    return text if text is not None else cast("bytes", event["bytes"])
                case "websocket.disconnect":
                    self.has_ended = True
                    raise PeerDisconnected(event.get("code", ABNORMAL))


class ChatWebsocketConnection(ASGIWebsocketConnection):
    """Has no queue and no task of its own: `receive()` raises `PeerDisconnected` after a disconnect.

    Quart cancels the handler at a disconnect, when the last messages are still unhandled, and does not cancel it when
    the connection's task ends. Here a handler ends by itself, or with its connection's task.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._inbound = _Inbound(receive)
        self.queue = cast("asyncio.Queue[str | bytes]", self._inbound)
        await self.handle_websocket(self._create_websocket_from_scope(send), send)

    async def handle_websocket(self, websocket: Websocket, send: ASGISendCallable) -> None:
        """Run the handler; then refuse if it has not accepted, or close: 1011 after an exception, else 1000."""
        response, has_failed = await self._dispatch(websocket)
        extensions: dict[str, Any] = self.scope.get("extensions") or {}
        control: Control | None = extensions.get(EXTENSION)
        if control is not None and control.is_taken_over and not has_failed:
            return  # the app continues without Quart
        if self._accepted:
            if not self._closed and not self._inbound.has_ended:
                await self.close_connection(send, INTERNAL_ERROR if has_failed else NORMAL, "")
        elif response is not None:
            await self._reject(response, send)

    async def _dispatch(self, websocket: Websocket) -> tuple[ResponseTypes | None, bool]:
        # Like Quart.handle_websocket, which does not return whether the handler has failed.
        async with self.app.websocket_context(websocket) as context:
            try:
                response = await self.app.full_dispatch_websocket(context)
            except PeerDisconnected:
                return None, False
            except ExceptionGroup as group:
                _, others = group.split(PeerDisconnected)
                if others is None:
                    return None, False
                return await self.app.handle_websocket_exception(others), True
            except Exception as error:
                return await self.app.handle_websocket_exception(error), True
            return response, response is not None and response.status_code >= 500

    async def _reject(self, response: ResponseTypes, send: Any) -> None:
        if "websocket.http.response" not in (self.scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": NORMAL})
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
        body = await response.get_data(as_text=False) if isinstance(response, Response) else response.get_data()
        await send({"type": "websocket.http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})

    async def close_connection(self, send: ASGISendCallable, code: int, reason: str) -> None:
        """Close, unless the client has disconnected already."""
        if self._inbound.has_ended:
            return
        try:
            await super().close_connection(send, code, reason)
        except OSError:
            self._closed = True  # disconnected; some ASGI servers raise then
