"""A WebSocket of Hypercorn's from its handshake on: ASGI on one side, a `WebSocketProtocol` on the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from types import MethodType
from typing import Any, Protocol, cast

from hypercorn.asyncio.worker_context import EventWrapper
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import WebsocketAcceptEvent
from hypercorn.utils import UnexpectedMessageError
from wsproto.events import BytesMessage, TextMessage
from wsproto.frame_protocol import CloseReason

from chat_actors.server.transport.carrier import Carrier
from chat_actors.server.transport.control import EXTENSION, Bounds, Line, Receiver
from chat_actors.server.transport.deflate import agree
from chat_actors.server.transport.inbound import Inbound
from chat_actors.server.transport.websocket_protocol import WebSocketProtocol


class CarrierProtocol(Protocol):
    """Hypercorn's protocol object, as we have it."""

    def carrier_of(self, stream: ChatStream) -> Carrier:
        """The carrier for a WebSocket that it has just made."""


class ChatStream(WSStream):
    """Implements `Control` for the app, and `Sink` until the WebSocket has been accepted."""

    def __init__(self, app: Any, *args: Any) -> None:
        super().__init__(app, *args)
        self.websocket: WebSocketProtocol | None = None
        self.is_taken_over = False
        self._bounds = Bounds(
            frame_bytes=self.config.websocket_max_message_size,
            ping_seconds=self.config.websocket_ping_interval or 0.0,
        )
        self._inbound = Inbound(self.config.max_app_queue_size)
        self._run_after: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._gone: asyncio.Event | None = None  # made when it is waited for
        self._has_app = False
        self._may_compress = False
        self._has_early_data = False
        self.task_group = cast("Any", AppHost(self))
        # Hypercorn hands its streams a method of the protocol that made them, and no protocol.
        self.carrier = cast("CarrierProtocol", cast("MethodType", self.send).__self__).carrier_of(self)

    def __deepcopy__(self, memo: object) -> ChatStream:
        return self  # Hypercorn's ProxyFixMiddleware copies the whole scope, and this lies in it

    # -- what the app may do: see Control ------------------------------------------------------------------------------

    def limit(self, bounds: Bounds) -> None:
        self._bounds = bounds

    def allow_compression(self) -> None:
        self._may_compress = True

    def take_over(self, receiver: Receiver, run: Callable[[], Coroutine[Any, Any, None]]) -> Line:
        if self.websocket is None:
            raise RuntimeError("the WebSocket has to be accepted before it can be taken over")
        if self._inbound.has_unread:
            raise RuntimeError("messages wait that were asked for: receive them first, or take over before asking")
        self.is_taken_over = True
        self._run_after = run
        self.websocket.attach(receiver)
        return self.websocket

    async def abort(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.websocket is None:
            self._inbound.ended(CloseReason.ABNORMAL_CLOSURE)
            self.carrier.abort()
        else:
            self.websocket.abort()
        self._announce_end()

    @property
    def peer_close_code(self) -> int | None:
        return None if self.websocket is None else self.websocket.peer_close_code

    def backlog(self) -> int:
        return self.carrier.backlog()

    @property
    def wait_draining(self) -> Callable[[], Coroutine[Any, Any, None]]:
        return cast("EventWrapper", self.context.terminated).wait

    @property
    def drain_seconds(self) -> float:
        return self.config.graceful_timeout

    # -- what comes in -------------------------------------------------------------------------------------------------

    async def handle(self, event: Event) -> None:
        match event:
            case Request():
                await self._open(event)
            case Body() | Data():
                self.received(event.data)
            case EndBody():
                self.peer_ended()
            case StreamClosed():
                self.lost()

    def received(self, data: bytes) -> None:
        if self.websocket is not None:
            self.websocket.received(data)
        else:
            self._refuse_early_data()

    def peer_ended(self) -> None:
        if self.websocket is not None:
            self.websocket.peer_ended()
        else:
            self._refuse_early_data()

    def lost(self) -> None:
        self.closed = True
        self._announce_end()
        if self.websocket is not None:
            self.websocket.lost()
        else:
            self._inbound.ended(CloseReason.ABNORMAL_CLOSURE)

    def overflowed(self) -> None:
        if self.websocket is not None:
            self.websocket.overflowed()

    async def _open(self, event: Request) -> None:
        self.start_time = time.time()
        try:
            await super().handle(event)
        except ValueError:
            await self._refuse()  # a header or a path that is not what the RFC lets it be made of
            return
        if self.closed:
            # Hypercorn has refused it, and would leave the connection as it is.
            self.state = ASGIWebsocketState.HTTPCLOSED
            await self.send(StreamClosed(stream_id=self.stream_id))

    def _refuse_early_data(self) -> None:
        # Data, or the end, before the answer to the handshake: Hypercorn refuses it without telling the app. Here the
        # app is told, and the client gets the refusal in place of the app's answer.
        self._has_early_data = True
        self._inbound.ended(CloseReason.ABNORMAL_CLOSURE)

    async def _refuse(self) -> None:
        self.state = ASGIWebsocketState.HTTPCLOSED
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self.send(Response(stream_id=self.stream_id, status_code=400, headers=headers))
        self._inbound.ended(CloseReason.ABNORMAL_CLOSURE)
        self.carrier.finish(peer_is_done=False)
        if not self._has_app:  # which would do it at its end
            await self.send(StreamClosed(stream_id=self.stream_id))

    # -- the app -------------------------------------------------------------------------------------------------------

    def start_app(self, scope: Any) -> None:
        """Instead of Hypercorn, which always gives it a task of its own."""
        self._has_app = True
        scope["extensions"][EXTENSION] = self
        self.carrier.spawn(self._run_app)

    async def _run_app(self) -> None:
        try:
            await self.app(self.scope, self._receive, self.app_send, _no_threads, _no_threads)
            if self._run_after is not None:
                self._forget_request()
                await self._run_after()
        except Exception:
            await self.config.log.exception("Error in ASGI Framework")
        finally:
            await self._app_ended()

    def _forget_request(self) -> None:
        """An idle WebSocket holds on to nothing of its request: that would be 7 kB more for each."""
        del self.scope, self.handshake, self.app, self.buffer, self._inbound
        self.carrier.forget_request()

    async def _receive(self) -> Any:
        self._inbound.ask()
        if self.websocket is not None:
            self.websocket.resume()
        return await self._inbound.get()

    async def app_send(self, message: Any) -> None:
        match message["type"]:
            case "websocket.accept" if self.state is ASGIWebsocketState.HANDSHAKE:
                await (self._accept_nobody() if self.closed or self._has_early_data else self._accept(message))
            case _ if self.closed:
                pass  # as ASGI wants it: an app need not know yet
            case _ if self.websocket is None:
                if self.state is not ASGIWebsocketState.HTTPCLOSED:
                    await super().app_send(message)
            case _ if self.websocket.is_over:
                pass
            case "websocket.send" if self.state is ASGIWebsocketState.CONNECTED:
                await self._send_message(self.websocket, message)
            case "websocket.close":
                self.state = ASGIWebsocketState.CLOSED
                self.websocket.close(int(message.get("code", CloseReason.NORMAL_CLOSURE)), message.get("reason") or "")
            case other:
                raise UnexpectedMessageError(self.state, other)

    async def _send_message(self, websocket: WebSocketProtocol, message: Any) -> None:
        data = message.get("bytes")
        event = TextMessage(message["text"]) if data is None else BytesMessage(bytes(data))
        if frame := websocket.frame(event):
            await self.send(Data(stream_id=self.stream_id, data=frame))

    async def _accept_nobody(self) -> None:
        # The client has gone, or has broken the rules, and the app cannot know: it gets a WebSocket that has ended.
        self.websocket = WebSocketProtocol(self.carrier, self._bounds, self._inbound)
        self.websocket.lost()
        if self.closed:
            self.state = ASGIWebsocketState.CLOSED
        else:
            await self._refuse()

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        offers, self.handshake.extensions = self.handshake.extensions, None  # Hypercorn would agree to any of them
        agreed = agree(offers or [], self._bounds.frame_bytes) if self._may_compress else None
        deflate, answer = agreed or (None, b"")
        extra = [*message.get("headers", []), *([(b"sec-websocket-extensions", answer)] if answer else [])]
        status, headers, _ = self.handshake.accept(message.get("subprotocol"), extra)
        self.state = ASGIWebsocketState.CONNECTED
        self.websocket = WebSocketProtocol(self.carrier, self._bounds, self._inbound, deflate)
        await self.send(Response(stream_id=self.stream_id, status_code=status, headers=headers))
        await self.config.log.access(self.scope, {"status": status, "headers": []}, time.time() - self.start_time)

    async def _app_ended(self) -> None:
        try:
            await self._say_goodbye()
            if self.websocket is not None:
                self.websocket.abandon()
                if self.carrier.outlives_its_app and not _is_cancelled():
                    await self._wait_gone()
                self.websocket.lost()
            await self.send(StreamClosed(stream_id=self.stream_id))
        except Exception:
            await self.config.log.exception("a WebSocket has failed at its end and is cut")
            await self.abort()

    async def _wait_gone(self) -> None:
        """It comes within `LINGER`; until then the client's last bytes are read."""
        if not self.closed:
            self._gone = asyncio.Event()
            await self._gone.wait()

    def _announce_end(self) -> None:
        if self._gone is not None:
            self._gone.set()

    async def _say_goodbye(self) -> None:
        if self.closed:
            return
        if self.state is ASGIWebsocketState.HANDSHAKE:
            if self._has_early_data:
                await self._refuse()
            else:
                self.state = ASGIWebsocketState.HTTPCLOSED
                await self._send_error_response(500)
        elif self.websocket is not None:
            # Nothing happens if it has been closed already; else it has failed, or is being cancelled.
            is_stopping = self.context.terminated.is_set()
            self.websocket.close(CloseReason.SERVICE_RESTART if is_stopping else CloseReason.INTERNAL_ERROR)


class AppHost:
    """Stands where a stream of Hypercorn's has its task group."""

    def __init__(self, stream: ChatStream) -> None:
        self._stream = stream

    async def spawn_app(self, app: object, config: object, scope: Any, send: object) -> Callable[..., Any]:
        self._stream.start_app(scope)
        return _connect_is_queued


async def _connect_is_queued(event: object) -> None:
    """Hypercorn puts the first event into the app's queue; here it lies in the queue from the beginning."""


def _no_threads(*args: object) -> Any:
    raise RuntimeError("a WebSocket's app is asynchronous: it is given no threads")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
