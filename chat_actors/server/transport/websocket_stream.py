"""A WebSocket stream of Hypercorn that holds to RFC 6455 and to its bounds, for HTTP/1.1 and HTTP/2 alike."""

from __future__ import annotations

import asyncio
from typing import Any

from hypercorn.protocol.events import Body, Data, EndBody, Event, StreamClosed
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import WebsocketAcceptEvent
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping, Pong
from wsproto.frame_protocol import CloseReason

from chat_actors.server.transport.control import EXTENSION

LINGER = 1.0
"""Seconds that a client gets to read why it was closed, before the connection goes.

Closing at once, with bytes of the client still unread, makes the kernel send a reset, and a reset may overtake the
close frame.
"""

RESET_WITHIN = 0.5
"""Seconds for a reset of one stream to get out before the TCP connection itself counts as stalled."""

CONTROL_FRAME_BYTES = 256
"""More than any control frame takes (RFC 6455, section 5.5: 125 bytes of payload)."""

NORMAL, ABNORMAL = 1000, 1006


class ChatStream(WSStream):
    """Limits in bytes before buffering; 1002, 1007 and 1009 where the RFC has them; no compression; no lost ends."""

    def __init__(self, app: Any, *args: Any) -> None:
        super().__init__(app, *args)
        self._frame_bytes = self.config.websocket_max_message_size
        self._peer_code: int | None = None
        self._failing = False
        self._app_has_ended = False

        async def with_control(scope: Any, *rest: Any) -> None:
            scope["extensions"][EXTENSION] = self
            await app(scope, *rest)

        self.app = with_control  # type: ignore[assignment]  # Hypercorn's type names the wrapper class, not the call

    # -- what the app may do: see Control ----------------------------------------------------------------------------

    def limit(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes

    async def abort(self) -> None:
        protocol: Any = self.send.__self__  # type: ignore[attr-defined]  # a bound method of H11Protocol or ChatH2Protocol
        reset = getattr(protocol, "reset_websocket", None)
        transport = protocol.send.__self__.writer.transport
        if reset is None:
            transport.abort()
            return
        try:
            async with asyncio.timeout(RESET_WITHIN):
                await reset(self.stream_id)
        except TimeoutError:
            transport.abort()  # nothing gets out at all, so its sibling streams are dead as well

    def _is_stalled(self) -> bool:
        """Whether an answer from the reading loop would have to wait for room in an HTTP/2 stream's buffer.

        It must not: only a frame that this same loop reads can make that room.
        """
        buffers = getattr(self.send.__self__, "stream_buffers", {})  # type: ignore[attr-defined]  # as in abort()
        buffer = buffers.get(self.stream_id)
        return buffer is not None and len(buffer.buffer) >= BUFFER_HIGH_WATER - CONTROL_FRAME_BYTES

    async def _answer(self, event: Pong | CloseConnection) -> None:
        """Answer what came, unless the stream is stalled: the client learns nothing from it then anyhow."""
        if not self._is_stalled():
            await self._send_wsproto_event(event)

    # -- what comes in -----------------------------------------------------------------------------------------------

    async def handle(self, event: Event) -> None:
        if self.closed:
            return
        match event:
            case StreamClosed():
                await self._ended()
            case Body() | Data() if not self.handshake.accepted:
                # Data before the answer to the handshake: stock Hypercorn refuses it without telling the app.
                await self._send_error_response(400)
                await self.send(StreamClosed(stream_id=self.stream_id))
            case EndBody():
                # HTTP/2: the client has ended its half of the stream; with or without a Close, nothing more will come.
                await self.send(StreamClosed(stream_id=self.stream_id))
            case Body() | Data() if self.connection.state is ConnectionState.CLOSED:
                pass
            case _:
                await super().handle(event)

    async def _ended(self) -> None:
        self.closed = True
        if self.app_put is not None:
            clean = self.state in {ASGIWebsocketState.HTTPCLOSED, ASGIWebsocketState.CLOSED}
            code = self._peer_code or (NORMAL if clean else ABNORMAL)
            await self._tell_app({"type": "websocket.disconnect", "code": code})

    async def _tell_app(self, event: dict[str, Any]) -> None:
        """Wait for room in the app's queue; that is what stops the reading of a socket whose app is busy.

        An app that has ended empties no queue: whoever waited for it would wait for ever.
        """
        if self.app_put is not None and not self._app_has_ended:
            await self.app_put(event)

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            match event:
                case Message():
                    await self._message(event)
                case Ping():
                    await self._answer(event.response())
                case CloseConnection():
                    await self._close(event)

    async def _message(self, event: Message[Any]) -> None:
        if self._failing or self.connection.state is not ConnectionState.OPEN:
            return
        size = len(event.data) if isinstance(event.data, bytes) or event.data.isascii() else len(event.data.encode())
        length = self.buffer.length + size
        if self._frame_bytes and length > self._frame_bytes:
            await self._fail(CloseReason.MESSAGE_TOO_BIG, f"a message may have at most {self._frame_bytes} bytes")
            return
        self.buffer.max_length = length + 1  # Hypercorn's own bound counts characters: ours has been checked
        self.buffer.extend(event)
        self.buffer.length = length
        if event.message_finished:
            message = self.buffer.to_message()
            self.buffer.clear()
            await self._tell_app(message)

    async def _close(self, event: CloseConnection) -> None:
        if self.connection.state is ConnectionState.OPEN:
            # wsproto could not parse what came, and says with which code to close.
            await self._fail(CloseReason(event.code), event.reason or "malformed frame")
            return
        if self._peer_code is None:
            self._peer_code = int(event.code)
        if self.connection.state is ConnectionState.REMOTE_CLOSING:
            await self._answer(event.response())
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _fail(self, code: CloseReason, reason: str) -> None:
        """Close because of what the client sent: say why, tell the app, throw away what still comes, then end."""
        self._failing = True
        self._peer_code = int(code)
        self.buffer.clear()
        self.state = ASGIWebsocketState.CLOSED
        await self._answer(CloseConnection(code=code, reason=reason[:100]))
        if self.scope["http_version"] == "2":
            await self.send(StreamClosed(stream_id=self.stream_id))  # the TCP connection stays, so no reset threatens
            return
        self.task_group.spawn(self._end_soon)
        await self._tell_app({"type": "websocket.disconnect", "code": int(code)})

    async def _end_soon(self) -> None:
        await self.context.sleep(LINGER)
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def app_send(self, message: Any) -> None:
        if message is None:
            self._app_has_ended = True
            self._empty_app_queue()
        if self._failing:
            return  # the end is under way, and the app's own goodbye would cut it short
        await super().app_send(message)

    def _empty_app_queue(self) -> None:
        queue: asyncio.Queue[Any] = self.app_put.__self__  # type: ignore[union-attr]  # Hypercorn hands out queue.put
        while not queue.empty():
            queue.get_nowait()

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        # No permessage-deflate: each receiver would compress for itself, and 58 kB can unfold to 118 MB.
        self.handshake.extensions = None
        await super()._accept(message)
