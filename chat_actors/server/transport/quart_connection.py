"""Quart's side of a WebSocket: the handler runs in the connection's own task and reads straight from the server."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.asgi import ASGIWebsocketConnection


class PeerDisconnected(Exception):
    """The client has gone; `code` is its close code, or 1006 if it sent none. All that it sent has been handed out."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"the client has closed the connection ({self.code})"


class _Inbound:
    """Stands where Quart has an unbounded queue: takes from the server when the handler asks, and no sooner.

    The bound is then Hypercorn's own queue of 10 messages, and behind it the socket.
    """

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive

    async def get(self) -> str | bytes:
        """The next message. Raises `PeerDisconnected` once there are no more."""
        while True:
            event: Any = await self._receive()
            match event["type"]:
                case "websocket.receive":
                    text: str | None = event.get("text")
                    return text if text is not None else cast("bytes", event["bytes"])
                case "websocket.disconnect":
                    raise PeerDisconnected(event.get("code", 1006))


class ChatWebsocketConnection(ASGIWebsocketConnection):
    """No queue and no task of its own: `receive()` raises `PeerDisconnected` when the client is gone.

    Quart cancels its handler at a disconnect, with what came just before it unhandled, and never cancels it if the
    connection's own task ends.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self.queue = cast("asyncio.Queue[str | bytes]", _Inbound(receive))
        await self.handle_websocket(self._create_websocket_from_scope(send), send)
