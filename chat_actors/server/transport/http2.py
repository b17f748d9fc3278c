"""Hypercorn's HTTP/2 as a carrier of WebSockets, with the streams of one connection isolated from each other.

Theory of operation. Hypercorn owns the h2 connection, the streams, and one send task, which sends from the stream
buffers what the windows allow. Our part:

* Input windows: the connection's window is restored at once, a stream's window only when its WebSocket has consumed the
  bytes (`_held`), so a slow app stops its own client and no sibling.
* Output: each stream has a `BoundedStreamBuffer`; `Http2Carrier` reports when its bound is exceeded.
* End of a stream: END_STREAM behind the buffered bytes, RST_STREAM after `LINGER` seconds if the client's half is still
  open or its window is 0 (`_lingering`). Frames that arrive after the end of a stream are ignored.
* An exception while one stream's event is handled resets that stream; the connection continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import h2.errors
import h2.events
import h2.exceptions
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol
from priority.priority import MissingStreamError

from chat_actors.server.transport.carrier import LINGER, anyio_context
from chat_actors.server.transport.stream_buffer import BoundedStreamBuffer, Signal
from chat_actors.server.transport.tcp_server import server_of
from chat_actors.server.transport.websocket_stream import ChatStream

WINDOW_STEP = 16384
"""Bytes after which a window is restored: a quarter of the initial window, so that clients need not stop sending."""


class ChatH2Protocol(H2Protocol):
    """Refuses a CONNECT that is no WebSocket, and ignores late frames for an ended stream."""

    has_data: Signal

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.has_data = Signal()
        self._taken = 0  # bytes of the connection's window that are not restored yet
        self._held: dict[int, int] = {}  # the same for each stream
        self._lingering: dict[int, asyncio.TimerHandle] = {}

    def make_carrier(self, stream: ChatStream) -> Http2Carrier:
        return Http2Carrier(self, stream)

    # -- for the carriers ----------------------------------------------------------------------------------------------

    def write(self, stream_id: int, data: bytes) -> int:
        """Send behind what was sent before. Returns the number of bytes that wait in that stream."""
        if (buffer := self._buffer(stream_id)) is None:
            return 0
        buffer.append(data)
        self._wake_sender(stream_id)
        return len(buffer.buffer)

    def backlog(self, stream_id: int) -> int:
        buffer = self._buffer(stream_id)
        return 0 if buffer is None else len(buffer.buffer)

    def consumed(self, stream_id: int) -> None:
        if self._held.get(stream_id, 0) >= WINDOW_STEP:
            self._open_window(self._held.pop(stream_id), stream_id)
            self._write_out()

    def finish(self, stream_id: int) -> None:
        if (buffer := self._buffer(stream_id)) is not None:
            buffer.set_complete()
            self._wake_sender(stream_id)
        self._reset_in_time(stream_id)

    def abort(self, stream_id: int) -> None:
        self._reset(stream_id, h2.errors.ErrorCodes.CANCEL)

    def _buffer(self, stream_id: int) -> BoundedStreamBuffer | None:
        return cast("BoundedStreamBuffer | None", self.stream_buffers.get(stream_id))

    def _wake_sender(self, stream_id: int) -> None:
        try:
            self.priority.unblock(stream_id)
        except MissingStreamError:
            return  # everything is sent, including the end of the stream
        self.has_data.notify()

    def _reset_in_time(self, stream_id: int) -> None:
        if stream_id not in self._lingering and not self.closed and not self._has_ended(stream_id):
            loop = asyncio.get_running_loop()
            self._lingering[stream_id] = loop.call_later(LINGER, self._reset_late, stream_id)

    def _reset_late(self, stream_id: int) -> None:
        del self._lingering[stream_id]
        # The client leaves the window at 0, or does not end its own half. Either keeps the stream open forever.
        self._reset(stream_id, h2.errors.ErrorCodes.NO_ERROR)

    def _reset(self, stream_id: int, code: h2.errors.ErrorCodes) -> None:
        try:
            if not self._has_ended(stream_id):
                self.connection.reset_stream(stream_id, code)
                self._write_out()
        except h2.exceptions.ProtocolError:
            pass  # the whole connection has ended
        if (buffer := self._buffer(stream_id)) is not None:
            buffer.discard()
            self._wake_sender(stream_id)
        if isinstance(stream := self.streams.get(stream_id), ChatStream):
            stream.lost()

    def _has_ended(self, stream_id: int) -> bool:
        stream = self.connection.streams.get(stream_id)
        return stream is None or bool(stream.closed)

    def _open_window(self, size: int, stream_id: int | None = None) -> None:
        try:
            self.connection.increment_flow_control_window(size, stream_id)
        except h2.exceptions.ProtocolError:
            pass  # the stream or the connection has ended, and its window with it

    # -- overrides of Hypercorn ----------------------------------------------------------------------------------------

    def _write_out(self) -> None:
        if data := self.connection.data_to_send():
            server_of(self.send).write(data)

    async def _flush(self) -> None:
        # Written first, then waited for, so that frames are sent in the order in which h2 made them.
        self._write_out()
        await self.send(RawData(data=b""))

    async def handle(self, event: Event) -> None:
        await super().handle(event)
        if isinstance(event, Closed):
            for timer in self._lingering.values():
                timer.cancel()
            self._lingering.clear()
            for buffer in self.stream_buffers.values():
                cast("BoundedStreamBuffer", buffer).discard()

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            try:
                await self._handle_event(event)
            except h2.exceptions.ProtocolError:
                pass  # the client has reset the stream, or ended the connection, before our answer
            except Exception:
                stream_id: int | None = getattr(event, "stream_id", None)
                if not stream_id:
                    raise
                await self.config.log.exception("HTTP/2 stream %d has failed and is reset", stream_id)
                self._reset(stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
                await self._close_stream(stream_id)
        await self._flush()

    async def _handle_event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.DataReceived():
                await self._handle_data(event)
            case h2.events.RequestReceived() if _is_plain_connect(event):
                self._refuse(event.stream_id, b"501")
            case h2.events.RequestReceived() if not _is_ascii(event):
                self._refuse(event.stream_id, b"400")
            case h2.events.PriorityUpdated():
                pass  # deprecated (RFC 9113, section 5.3.2); Hypercorn would store a thousand of these
            case h2.events.StreamReset() if (buffer := self._buffer(event.stream_id)) is not None:
                buffer.discard()
                await super()._handle_events([event])
            case _:
                await super()._handle_events([event])

    async def _handle_data(self, event: h2.events.DataReceived) -> None:
        stream_id = event.stream_id
        stream = self.streams.get(stream_id)
        if stream is not None and not isinstance(stream, ChatStream):
            await super()._handle_events([event])
            return
        # The connection's window is restored at once, or a stream with a slow app would stop its siblings.
        self._taken += event.flow_controlled_length
        if self._taken >= WINDOW_STEP:
            self._open_window(self._taken)
            self._taken = 0
        if stream is not None:
            self._held[stream_id] = self._held.get(stream_id, 0) + event.flow_controlled_length
            await stream.handle(Body(stream_id=stream_id, data=event.data))
        # Without a stream, this may be the client's Close after ours. Hypercorn would raise, and all streams would end.

    def _refuse(self, stream_id: int, status: bytes) -> None:
        # 501 (RFC 9110, section 15.6.2): CONNECT without a protocol requests a tunnel (RFC 9113, section 8.5), and
        # with another than "websocket" a protocol that this server does not implement (RFC 8441, section 4).
        # 400: methods and paths are ASCII (RFC 9110, section 9.1; RFC 3986, section 2), else Hypercorn raises.
        self.connection.send_headers(stream_id, [(b":status", status), (b"content-length", b"0")], end_stream=True)
        self._reset_in_time(stream_id)

    async def _close_stream(self, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        await super()._close_stream(stream_id)
        self._held.pop(stream_id, None)
        if isinstance(stream, ChatStream):
            # Hypercorn leaves our half of the stream open forever. End it behind the buffered bytes.
            self.finish(stream_id)

    async def _send_data(self, stream_id: int) -> None:
        if stream_id in self.stream_buffers:
            await super()._send_data(stream_id)
            if stream_id not in self.stream_buffers:
                await self._report_idle()
        else:
            self.priority.remove_stream(stream_id)

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, StreamClosed):
            await self._close_stream(event.stream_id)
            await self._report_idle()
        else:
            await super().stream_send(event)

    async def _report_idle(self) -> None:
        # Hypercorn ignores buffered bytes here, so the last Close frames of a shutdown would be lost.
        is_idle = not self.stream_buffers and all(stream.idle for stream in self.streams.values())
        if is_idle and self.context.terminated.is_set() and not self.closed:
            self.connection.close_connection()
            self._write_out()
        await self.send(Updated(idle=is_idle))


class Http2Carrier:
    """Implements `Carrier`: one stream, with a buffer and a window of its own."""

    __slots__ = ("_bound", "_protocol", "_stream", "_stream_id", "context", "outlives_its_app")

    def __init__(self, protocol: ChatH2Protocol, stream: ChatStream) -> None:
        self.outlives_its_app = False  # the TCP connection stays open, so unread bytes cause no reset
        self.context = anyio_context()
        self._protocol = protocol
        self._stream = stream
        self._stream_id = stream.stream_id
        self._bound = 0

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._protocol.task_group.spawn(run)

    def forget_request(self) -> None:
        """h2 does not keep the request."""

    def write(self, data: bytes) -> None:
        if self._protocol.write(self._stream_id, data) > self._bound > 0:
            self._stream.overflowed()

    def backlog(self) -> int:
        return self._protocol.backlog(self._stream_id)

    def is_closing(self) -> bool:
        return self._protocol.closed

    def bound(self, backlog_bytes: int) -> None:
        self._bound = backlog_bytes

    def pause(self) -> None:
        """Nothing to do: the window is restored only by `resume`."""

    def resume(self) -> None:
        self._protocol.consumed(self._stream_id)

    def finish(self, *, peer_is_done: bool) -> None:
        self._protocol.finish(self._stream_id)

    def abort(self) -> None:
        self._protocol.abort(self._stream_id)


def _is_plain_connect(event: h2.events.RequestReceived) -> bool:
    headers: dict[Any, Any] = dict(event.headers or [])
    return headers.get(b":method") == b"CONNECT" and headers.get(b":protocol") != b"websocket"


def _is_ascii(event: h2.events.RequestReceived) -> bool:
    headers: dict[Any, Any] = dict(event.headers or [])
    return bool((headers.get(b":method", b"") + headers.get(b":path", b"")).isascii())
