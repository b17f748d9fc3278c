"""Many WebSockets on one HTTP/2 connection (RFC 8441)."""

from __future__ import annotations

import threading
import time
from collections import deque

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from websockets.protocol import CLIENT, Protocol

from load.wire.address import Address
from load.wire.connector import open_connection
from load.wire.stream import Connection
from load.wire.tcp import SEND_TIMEOUT
from load.wire.websocket import MAX_TEXT, PATH, UpgradeRefused, WebSocket

_FOREVER = 1e6


class Http2Connection:
    """One TCP connection with many WebSocket streams. Without TLS it uses HTTP/2 with prior knowledge.

    A reader thread (or greenlet) receives for all streams; their callers send under one lock.
    """

    def __init__(self, stream: Connection, address: Address) -> None:
        self._stream = stream
        self._address = address
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration())
        self._lock = threading.Lock()  # held around h2 and the send of its output, which keeps the output in order
        self._streams: dict[int, _Http2Stream] = {}
        self._windows = threading.Condition(self._lock)
        self._reader: threading.Thread
        self.is_closed = False

    @classmethod
    def open(cls, address: Address, timeout: float) -> Http2Connection:
        """Connect and start the reader. Raises `Unreachable`."""
        self = cls(open_connection(address, timeout, "h2"), address)
        self._h2.initiate_connection()
        # With the initial connection window of 64 KiB, one stream that is read slowly would stall all others.
        self._h2.increment_flow_control_window(1 << 28)
        self._stream.send(self._h2.data_to_send())
        self._reader = threading.Thread(target=self._read_all, name="http2-reader", daemon=True)
        self._reader.start()
        return self

    def open_websocket(self, timeout: float) -> WebSocket:
        """Open a WebSocket on a new stream. Raises `UpgradeRefused`, `TimeoutError`."""
        scheme = "http" if self._address.tls is None else "https"
        fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", scheme),
            (":path", PATH),
            (":authority", self._address.authority),
            ("sec-websocket-version", "13"),
        ]
        with self._lock:
            if self.is_closed:
                raise UpgradeRefused("the HTTP/2 connection has ended")
            stream_id = self._h2.get_next_available_stream_id()
            stream = self._streams[stream_id] = _Http2Stream(self, stream_id)
            try:
                self._h2.send_headers(stream_id, fields)
            except h2.exceptions.TooManyStreamsError:
                del self._streams[stream_id]
                raise UpgradeRefused("the HTTP/2 connection has reached the server's stream limit") from None
            self._flush()
        status = stream.wait_status(timeout)
        if status != 200:
            raise UpgradeRefused(f"HTTP status {status}" if status else "the stream was reset")
        return WebSocket(stream, Protocol(CLIENT, max_size=MAX_TEXT))

    def close(self) -> None:
        """Close the connection with all streams, and wait for the reader. Idempotent."""
        self.is_closed = True
        # Only the reader closes the socket. Closed here, the descriptor could be reused by another connection while the
        # reader still waits on it, and the reader would take that connection's data.
        self._stream.shut_down()
        self._reader.join()

    # -- called by streams ---------------------------------------------------------------------------------------------

    def send(self, stream_id: int, data: bytes) -> None:
        deadline = time.monotonic() + SEND_TIMEOUT
        with self._lock:
            while data:
                if self.is_closed or self._streams.get(stream_id) is None:
                    raise ConnectionResetError("the HTTP/2 stream has ended")
                try:
                    size = min(
                        self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size, len(data)
                    )
                    if size:
                        self._h2.send_data(stream_id, data[:size])
                except h2.exceptions.ProtocolError as error:
                    raise ConnectionResetError(str(error)) from None
                if size:
                    data = data[size:]
                    self._flush()
                elif not self._windows.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"the server read nothing for {SEND_TIMEOUT:g} s")

    def acknowledge(self, stream_id: int, size: int) -> None:
        with self._lock:
            if not self.is_closed:
                self._h2.acknowledge_received_data(size, stream_id)
                self._flush_if_alive()

    def end(self, stream_id: int) -> None:
        with self._lock:
            if self._streams.pop(stream_id, None) is None or self.is_closed:
                return
            try:
                self._h2.reset_stream(stream_id)
            except h2.exceptions.ProtocolError:
                return  # the server has already ended the stream
            self._flush_if_alive()

    def _flush_if_alive(self) -> None:
        try:
            self._flush()
        except OSError:
            pass  # the reader gets the same error and ends every stream

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            try:
                self._stream.send(data)
            except OSError:
                self.is_closed = True
                raise

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read_all(self) -> None:
        try:
            while data := self._stream.receive(_FOREVER):
                with self._lock:
                    for event in self._h2.receive_data(data):
                        self._handle_event(event)
                    self._flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass  # handled like an orderly end
        finally:
            with self._lock:
                self.is_closed = True
                self._windows.notify_all()
                for stream in self._streams.values():
                    stream.end()
            self._stream.close()

    def _handle_event(self, event: h2.events.Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        match event:
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._windows.notify_all()
            case h2.events.DataReceived(flow_controlled_length=int(size)) if stream is None:
                self._h2.acknowledge_received_data(size, event.stream_id or 0)
            case _ if stream is None:
                pass
            case h2.events.ResponseReceived(headers=list(headers)):
                stream.set_status(int(dict(headers)[b":status"]))
            case h2.events.DataReceived(data=bytes(data), flow_controlled_length=int(size)):
                stream.receive_data(data, size)
            case h2.events.StreamEnded() | h2.events.StreamReset():
                stream.end()
                self._windows.notify_all()
            case _:
                pass


class _Http2Stream:
    """Implements `Stream`. The flow control window bounds the unread data."""

    def __init__(self, connection: Http2Connection, stream_id: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._changed = threading.Condition()
        self._status: int | None = None
        self._has_ended = False

    # -- called by the reader ------------------------------------------------------------------------------------------

    def set_status(self, status: int) -> None:
        with self._changed:
            self._status = status
            self._changed.notify_all()

    def receive_data(self, data: bytes, size: int) -> None:
        with self._changed:
            self._chunks.append((data, size))
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    # -- called by the WebSocket ---------------------------------------------------------------------------------------

    def wait_status(self, timeout: float) -> int | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._status is not None or self._has_ended, timeout):
                raise TimeoutError(f"no response to the upgrade within {timeout:g} s")
            return self._status

    def send(self, data: bytes) -> None:
        self._connection.send(self._stream_id, data)

    def receive(self, timeout: float) -> bytes:
        with self._changed:
            if not self._changed.wait_for(lambda: self._chunks or self._has_ended, max(timeout, 0)):
                raise TimeoutError
            if not self._chunks:
                return b""
            data, size = self._chunks.popleft()
        if size:
            self._connection.acknowledge(self._stream_id, size)
        return data

    def close(self) -> None:
        self._connection.end(self._stream_id)
