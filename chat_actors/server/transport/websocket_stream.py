"""A WebSocket stream of Hypercorn that holds to RFC 6455 and to its bounds, for HTTP/1.1 and HTTP/2 alike.

Parsing never waits: what it answers is written at once, and when the app's queue is full it stops between two messages
and goes on when the app has taken one. So nothing that a client sends or does not read can hold up the connection.
"""

from __future__ import annotations

import asyncio
from types import MethodType
from typing import Any, cast

from hypercorn.protocol.events import Body, Data, EndBody, EndData, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import WebsocketAcceptEvent
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.events import Event as FrameEvent
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from chat_actors.server.transport.carrier import Carrier
from chat_actors.server.transport.control import EXTENSION
from chat_actors.server.transport.inbound import Inbound

ABNORMAL = CloseReason.ABNORMAL_CLOSURE

CONTROL_BACKLOG = 65536
"""Bytes that may wait for a client before its pings go unanswered (RFC 6455, section 5.5.3, asks for the last only)."""


class ChatStream(WSStream):
    """Limits in bytes before buffering; 1002, 1007 and 1009 where the RFC has them; no compression; no lost ends."""

    def __init__(self, app: Any, *args: Any) -> None:
        super().__init__(app, *args)
        self.is_paused = False
        self._frame_bytes = self.config.websocket_max_message_size
        self._carrier = cast("Carrier", cast("MethodType", self.send).__self__)
        self._inbound = Inbound(self.config.max_app_queue_size)
        self._peer_close_code: int | None = None
        self._peer_has_ended = False
        self._is_over = False  # nothing that still comes matters, and nothing of the app's is sent
        self._gone = asyncio.Event()
        self._pinging: asyncio.Task[Any] | None = None

        async def with_control(scope: Any, receive: Any, send: Any, *rest: Any) -> None:
            scope["extensions"][EXTENSION] = self
            await app(scope, self._receive, send, *rest)

        self.app = cast("Any", with_control)  # Hypercorn's type names its wrapper class, not the call

    def __deepcopy__(self, memo: object) -> ChatStream:
        return self  # Hypercorn's ProxyFixMiddleware copies the whole scope, and this lies in it

    # -- what the app may do: see Control ------------------------------------------------------------------------------

    def limit(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes

    async def abort(self) -> None:
        if not self.closed:
            self.closed = True
            self._end(ABNORMAL)
            self._gone.set()
            self._carrier.abort(self.stream_id)

    @property
    def peer_close_code(self) -> int | None:
        return self._peer_close_code

    def backlog(self) -> int:
        return self._carrier.backlog(self.stream_id)

    # -- what comes in -------------------------------------------------------------------------------------------------

    async def handle(self, event: Event) -> None:
        try:
            await self._take(event)
        except Exception:
            # On HTTP/2 it would end the siblings too.
            await self.config.log.exception("a WebSocket has failed and is cut")
            await self.abort()

    async def _take(self, event: Event) -> None:
        match event:
            case StreamClosed():
                self._lost()
            case _ if self.closed or self._is_over:
                pass
            case Request():
                await self._open(event)
            case _ if not self.handshake.accepted:
                # Data, or the end, before the answer to the handshake: Hypercorn refuses it without telling the app.
                await self._refuse()
            case Body() | Data():
                self.connection.receive_data(event.data)
                self._parse()
                while self.is_paused and self._carrier.stops_reading:
                    await self._inbound.wait_for_reader()
            case EndBody():
                # HTTP/2: with or without a Close, nothing more will come.
                self._peer_has_ended = True
                if not self.is_paused:
                    self._parse()

    async def _open(self, event: Request) -> None:
        self._inbound.put({"type": "websocket.connect"})
        try:
            await super().handle(event)
        except ValueError:
            await self._refuse()  # a header or a path that is not what the RFC lets it be made of
            return
        if self.closed:
            # Hypercorn has refused it, and would leave the connection as it is.
            self.state = ASGIWebsocketState.HTTPCLOSED
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _refuse(self) -> None:
        self.state = ASGIWebsocketState.HTTPCLOSED
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self.send(Response(stream_id=self.stream_id, status_code=400, headers=headers))
        self._end(ABNORMAL)
        self._carrier.finish(self.stream_id, peer_is_done=False)
        if self.app_put is None:  # no app runs that would do it at its end
            await self.send(StreamClosed(stream_id=self.stream_id))

    def _parse(self) -> None:
        self.is_paused = False
        for event in self.connection.events():
            match event:
                case Message():
                    self._message(event)
                case Ping() if self.backlog() < CONTROL_BACKLOG:
                    self._write(event.response())
                case CloseConnection():
                    self._close_received(event)
            if self._is_over:
                return
            if self._inbound.is_full:
                self.is_paused = True
                return
        self._carrier.consumed(self.stream_id)
        if self._peer_has_ended:
            self._end(ABNORMAL)
            self._carrier.finish(self.stream_id, peer_is_done=True)

    def _message(self, event: Message[Any]) -> None:
        if self.connection.state is not ConnectionState.OPEN:
            return  # the app has closed: what the client sent meanwhile is on its way to the Close
        size = len(event.data) if isinstance(event.data, bytes) or event.data.isascii() else len(event.data.encode())
        length = self.buffer.length + size
        if self._frame_bytes and length > self._frame_bytes:
            self._fail(CloseReason.MESSAGE_TOO_BIG, f"a message may have at most {self._frame_bytes} bytes")
            return
        self.buffer.max_length = length + 1  # Hypercorn's own bound counts characters: ours has been checked
        self.buffer.extend(event)
        self.buffer.length = length
        if event.message_finished:
            self._inbound.put(self.buffer.to_message())
            self.buffer.clear()

    def _close_received(self, event: CloseConnection) -> None:
        match self.connection.state:
            case ConnectionState.OPEN:
                # wsproto could not parse what came, and says with which code to close.
                self._fail(CloseReason(event.code), event.reason or "malformed frame")
            case ConnectionState.REMOTE_CLOSING | ConnectionState.CLOSED:
                self._peer_close_code = int(event.code)
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    self._write(event.response())
                self._end(self._peer_close_code)
                self._carrier.finish(self.stream_id, peer_is_done=True)
            case _:
                self._end(ABNORMAL)  # malformed, after the app's own Close: its end is under way already

    def _fail(self, code: CloseReason, reason: str) -> None:
        """Close because of what the client sent: say why, tell the app, throw away what still comes, then end."""
        self._close(code, reason[:100])
        self._end(int(code))

    def _end(self, code: int) -> None:
        self._is_over = True
        self.is_paused = False
        self.buffer.clear()
        self._inbound.end(int(code))
        self._carrier.consumed(self.stream_id)
        if self._pinging is not None:
            self._pinging.cancel()

    def _lost(self) -> None:
        """The connection or the stream is gone. What had come whole before is still for the app."""
        self.closed = True
        self._peer_has_ended = True
        self._gone.set()
        if not self.is_paused:
            self._end(ABNORMAL)

    def _write(self, event: FrameEvent) -> None:
        if not self.closed:
            try:
                self._carrier.write(self.stream_id, bytes(self.connection.send(event)))
            except LocalProtocolError:
                pass  # a Close has gone out before it

    # -- what the app asks for and sends -------------------------------------------------------------------------------

    async def _receive(self) -> Any:
        message = await self._inbound.get()
        if self.is_paused and not self._inbound.is_full:
            self._parse()
        return message

    async def app_send(self, message: Any) -> None:
        if message is None:
            try:
                await self._app_ended()
            except Exception:
                await self.config.log.exception("a WebSocket has failed at its end and is cut")
                await self.abort()
        elif self.closed or self._is_over:
            pass  # as ASGI wants it: an app need not know yet
        elif message["type"] == "websocket.close" and self.handshake.accepted:
            self._close(int(message.get("code", CloseReason.NORMAL_CLOSURE)), message.get("reason"))
            await self.send(EndData(stream_id=self.stream_id))
        else:
            await super().app_send(message)

    def _close(self, code: int, reason: str | None = None) -> None:
        """Say goodbye behind what waits, and end within `LINGER`, also if the client reads nothing of it."""
        self.state = ASGIWebsocketState.CLOSED
        self._write(CloseConnection(code, reason))
        self._carrier.finish(self.stream_id, peer_is_done=False)

    async def _app_ended(self) -> None:
        self._inbound.abandon()
        if self.is_paused:
            self._parse()  # on to the client's Close, if it has come: nobody else will ask any more
        if not self.closed and not self._is_over:
            await self._say_goodbye()
        if self.handshake.accepted and self._carrier.stops_reading and not _is_cancelled():
            await self._gone.wait()  # which comes within LINGER; until then the client's last bytes are read
        if not self._is_over:
            self._end(ABNORMAL)
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _say_goodbye(self) -> None:
        if self.state is ASGIWebsocketState.HANDSHAKE:
            self.state = ASGIWebsocketState.HTTPCLOSED
            await self._send_error_response(500)
        elif self.state is ASGIWebsocketState.CONNECTED and self.handshake.accepted:
            # It has failed, or is being cancelled.
            is_stopping = self.context.terminated.is_set()
            self._close(CloseReason.GOING_AWAY if is_stopping else CloseReason.INTERNAL_ERROR)

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        # No permessage-deflate: each receiver would compress for itself, and 58 kB can unfold to 118 MB.
        self.handshake.extensions = None
        await super()._accept(message)

    async def _send_pings(self) -> None:
        self._pinging = asyncio.current_task()
        while not self.closed and not self._is_over:
            if self.backlog() < CONTROL_BACKLOG:
                self._write(Ping())
            await asyncio.sleep(self.config.websocket_ping_interval or 0)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
