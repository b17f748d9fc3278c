"""Hypercorn's HTTP/2 with the holes closed that one client, or one stream, could hurt others through."""

from __future__ import annotations

from typing import Any

import h2.errors
import h2.events
import h2.exceptions
from hypercorn.protocol.h2 import BUFFER_LOW_WATER, H2Protocol, StreamBuffer
from hypercorn.protocol.ws_stream import WSStream


class BoundedStreamBuffer(StreamBuffer):
    """Lets a waiting writer go on only when the buffer has really emptied.

    Hypercorn looks at how little was taken out: with a zero window nothing is, and every writer is let through.
    """

    async def pop(self, max_length: int) -> bytes:
        length = min(len(self.buffer), max_length)
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data


class ChatH2Protocol(H2Protocol):
    """Late frames for a stream that is gone stay harmless; a CONNECT that is no WebSocket is refused; streams end."""

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            match event:
                case h2.events.DataReceived() if event.stream_id not in self.streams:
                    # Say, the client's Close after ours. Hypercorn would raise, and every stream would end.
                    self._acknowledge(event)
                case h2.events.RequestReceived() if _is_plain_connect(event):
                    await self._refuse(event.stream_id)
                case _:
                    await super()._handle_events([event])
        await self._flush()

    def _acknowledge(self, event: h2.events.DataReceived) -> None:
        try:
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        except h2.exceptions.ProtocolError:
            pass  # the stream is so gone that there is no window to give back

    async def _refuse(self, stream_id: int) -> None:
        # 501 (RFC 9110, section 15.6.2): CONNECT without a protocol asks for a tunnel (RFC 9113, section 8.5), and
        # with one other than "websocket" for something that this server does not speak (RFC 8441, section 4).
        self.connection.send_headers(stream_id, [(":status", "501"), ("content-length", "0")], end_stream=True)

    async def _close_stream(self, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        await super()._close_stream(stream_id)
        buffer = self.stream_buffers.get(stream_id)
        if isinstance(stream, WSStream) and buffer is not None:
            # Hypercorn leaves our half of the stream open for ever: end it behind what still waits.
            buffer.set_complete()
            self.priority.unblock(stream_id)
            await self.has_data.set()

    async def reset_websocket(self, stream_id: int) -> None:
        """Drop one stream now, with what waits for it."""
        try:
            self.connection.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
        except h2.exceptions.ProtocolError:
            pass  # it has ended already
        buffer = self.stream_buffers.get(stream_id)
        if buffer is not None:
            await buffer.close()
        await self._close_stream(stream_id)
        await self._flush()


def _is_plain_connect(event: h2.events.RequestReceived) -> bool:
    headers: dict[Any, Any] = dict(event.headers or [])
    return headers.get(b":method") == b"CONNECT" and headers.get(b":protocol") != b"websocket"
