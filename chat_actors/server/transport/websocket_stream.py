"""A WebSocket from its handshake on: Hypercorn's stream, between ASGI and a `WebSocketProtocol`.

Theory of operation. A stream is made when the request arrives; `state` is Hypercorn's:

* HANDSHAKE: the app runs, and `websocket` is None. Data or the end of the client's half before the answer break the
  protocol: the app gets a disconnect, the client a 400 in place of the app's answer.
* CONNECTED: the app has accepted. Input goes to `websocket`, and from there to ASGI's `receive` (`Inbound`) or, after
  `take_over`, to the app's `Receiver`. `run` then continues in the task of the ASGI call.
* HTTPCLOSED (refused) or CLOSED: later messages of the app are ignored, as ASGI demands.

The task always ends in `_app_ended`, which closes what the app has left open: 1012 in a shutdown, 1011 after an error.
`closed` is set when the connection or stream is lost in both directions.
"""

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
from chat_actors.server.transport.control import EXTENSION, Bounds, FrameWriter, Receiver
from chat_actors.server.transport.deflate import agree
from chat_actors.server.transport.inbound import Inbound
from chat_actors.server.transport.websocket_protocol import WebSocketProtocol


class CarrierProtocol(Protocol):
    """Our variant of Hypercorn's protocol object."""

    def make_carrier(self, stream: ChatStream) -> Carrier:
        """The carrier for a new WebSocket."""


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
        self._lost: asyncio.Event | None = None  # made by the first waiter, to save memory
        self._has_app = False
        self._may_compress = False
        self._has_early_data = False
        self.task_group = cast("Any", AppHost(self))
        # Hypercorn passes a bound method of the protocol, not the protocol itself.
        self.carrier = cast("CarrierProtocol", cast("MethodType", self.send).__self__).make_carrier(self)

    def __deepcopy__(self, memo: object) -> ChatStream:
        return self  # Hypercorn's ProxyFixMiddleware copies the scope deeply, and the scope contains this object

    # -- Control -------------------------------------------------------------------------------------------------------

    def limit(self, bounds: Bounds) -> None:
        self._bounds = bounds

    def allow_compression(self) -> None:
        self._may_compress = True

    def take_over(self, receiver: Receiver, run: Callable[[], Coroutine[Any, Any, None]]) -> FrameWriter:
        if self.websocket is None:
            raise RuntimeError("the WebSocket has to be accepted before it can be taken over")
        if self._inbound.has_unread:
            raise RuntimeError("requested messages wait: receive them first, or take over before requesting any")
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
        self._set_lost()

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

    # -- input ---------------------------------------------------------------------------------------------------------

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
        self._set_lost()
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
            await self._refuse()  # a header or a path with bytes that the RFC does not allow
            return
        if self.closed:
            # Hypercorn has refused the handshake, and would leave the connection open.
            self.state = ASGIWebsocketState.HTTPCLOSED
            await self.send(StreamClosed(stream_id=self.stream_id))

    def _refuse_early_data(self) -> None:
        # Hypercorn refuses data before the answer to the handshake without notifying the app.
        self._has_early_data = True
        self._inbound.ended(CloseReason.ABNORMAL_CLOSURE)

    async def _refuse(self) -> None:
        self.state = ASGIWebsocketState.HTTPCLOSED
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await self.send(Response(stream_id=self.stream_id, status_code=400, headers=headers))
        self._inbound.ended(CloseReason.ABNORMAL_CLOSURE)
        self.carrier.finish(peer_is_done=False)
        if not self._has_app:  # else `_app_ended` sends it
            await self.send(StreamClosed(stream_id=self.stream_id))

    # -- the app -------------------------------------------------------------------------------------------------------

    def start_app(self, scope: Any) -> None:
        """Run the app where the carrier chooses; Hypercorn would always start a task."""
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
        """Release the request: it takes 7 kB for each idle WebSocket."""
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
                await (self._accept_too_late() if self.closed or self._has_early_data else self._accept(message))
            case _ if self.closed:
                pass  # ASGI demands no error: the app may not know yet
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

    async def _accept_too_late(self) -> None:
        # The client has disconnected, or was refused, and the app cannot know: it gets a WebSocket that has ended.
        self.websocket = WebSocketProtocol(self.carrier, self._bounds, self._inbound)
        self.websocket.lost()
        if self.closed:
            self.state = ASGIWebsocketState.CLOSED
        else:
            await self._refuse()

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        offers, self.handshake.extensions = self.handshake.extensions, None  # Hypercorn would agree to any offer
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
            await self._close_open_ends()
            if self.websocket is not None:
                self.websocket.detach()
                if self.carrier.outlives_its_app and not _is_cancelled():
                    await self._wait_lost()
                self.websocket.lost()
            await self.send(StreamClosed(stream_id=self.stream_id))
        except Exception:
            await self.config.log.exception("a WebSocket has failed at its end and is aborted")
            await self.abort()

    async def _wait_lost(self) -> None:
        """Read the client's last bytes; `Carrier.finish` bounds this to `LINGER` seconds."""
        if not self.closed:
            self._lost = asyncio.Event()
            await self._lost.wait()

    def _set_lost(self) -> None:
        if self._lost is not None:
            self._lost.set()

    async def _close_open_ends(self) -> None:
        """Answer the handshake, or send a Close, if the app has not."""
        if self.closed:
            return
        if self.state is ASGIWebsocketState.HANDSHAKE:
            if self._has_early_data:
                await self._refuse()
            else:
                self.state = ASGIWebsocketState.HTTPCLOSED
                await self._send_error_response(500)
        elif self.websocket is not None:
            # No effect after a close by the app; otherwise the app has failed, or is being cancelled.
            is_stopping = self.context.terminated.is_set()
            self.websocket.close(CloseReason.SERVICE_RESTART if is_stopping else CloseReason.INTERNAL_ERROR)


class AppHost:
    """Replaces the task group of a Hypercorn stream, which spawns only the app."""

    def __init__(self, stream: ChatStream) -> None:
        self._stream = stream

    async def spawn_app(self, app: object, config: object, scope: Any, send: object) -> Callable[..., Any]:
        self._stream.start_app(scope)
        return _ignore_connect_event


async def _ignore_connect_event(event: object) -> None:
    """Hypercorn queues the connect event for the app; `Inbound` contains it from the beginning."""


def _no_threads(*args: object) -> Any:
    raise RuntimeError("the app of a WebSocket is asynchronous and gets no threads")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
