"""WebSockets over HTTP/2 (RFC 8441), with the h2 library: cleartext by prior knowledge, or TLS."""

import asyncio

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from tests.patience import PATIENCE
from tests.wire.peer import Peer


class Http2Peer(Peer):
    def __init__(self, connection, stream_id, *, owns_connection=False):
        super().__init__(None, {})
        self.connection = connection
        self.stream_id = stream_id
        self.answered = asyncio.Event()
        self.body = bytearray()
        self._owns_connection = owns_connection

    async def write(self, data):
        await self.connection.send_data(self.stream_id, data)

    async def abort(self):
        """Abort the stream with RST_STREAM."""
        self.connection.h2.reset_stream(self.stream_id)
        await self.connection.flush()
        self.feed_end()

    def stop_reading(self):
        """Stop reading from the socket."""
        self.connection.stop_reading()

    async def half_close(self):
        """Send END_STREAM without a Close frame."""
        try:
            self.connection.h2.end_stream(self.stream_id)
        except h2.exceptions.ProtocolError:
            return  # the server has ended the stream
        await self.connection.flush()

    async def aclose(self):
        if self._owns_connection:
            await self.connection.aclose()


def connect_fields(path="/ws", headers=(), *, protocol="websocket", host="localhost"):
    """The header fields of the request for a WebSocket (RFC 8441, section 4)."""
    return [
        (":method", "CONNECT"),
        *([(":protocol", protocol)] if protocol else []),
        (":scheme", "http"),
        (":path", path),
        (":authority", host),
        ("sec-websocket-version", "13"),
        *((name.lower(), value) for name, value in headers),
    ]


class Http2Connection:
    """One TCP connection with any number of WebSockets on it."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.is_closed = False
        self._streams = {}
        self._window = asyncio.Event()

    @classmethod
    async def open(cls, port, tls=None, initial_window=None):
        """`initial_window` is that of each stream in bytes; with 0 the server may send no data at all."""
        host = {"ssl": tls, "server_hostname": "localhost"} if tls else {}
        self = cls(*await asyncio.open_connection("127.0.0.1", port, **host))
        if initial_window is not None:
            window = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values={window: initial_window})
        self.h2.initiate_connection()
        await self.flush()
        self._reading = asyncio.create_task(self._read())
        return self

    async def flush(self):
        self._writer.write(self.h2.data_to_send())
        try:
            await self._writer.drain()
        except OSError:
            pass

    async def _read(self):
        try:
            while data := await self._reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._on_event(event)
                await self.flush()
        except OSError:
            pass
        finally:
            self.is_closed = True
            for peer in self._streams.values():
                peer.answered.set()
                peer.feed_end()

    def _on_event(self, event):
        peer = self._streams.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ResponseReceived():
                peer.headers = dict(event.headers)
                peer.status = int(peer.headers[":status"])
                peer.answered.set()
            case h2.events.DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                peer.body += event.data
                if peer.is_websocket:
                    peer.feed(event.data)
            case h2.events.StreamEnded() | h2.events.StreamReset():
                peer.answered.set()
                peer.feed_end()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._open_windows()

    def _open_windows(self):
        # A new event each time: with one event, a waiter could clear it before another has seen it.
        self._window.set()
        self._window = asyncio.Event()

    def pause_reading(self):
        """Read nothing more of the whole connection: TCP stalls."""
        self._writer.transport.pause_reading()

    def resume_reading(self):
        self._writer.transport.resume_reading()

    def stop_reading(self):
        self._reading.cancel()
        self._writer.transport.pause_reading()

    async def send_data(self, stream_id, data):
        while data and not self.is_closed:
            size = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size, len(data))
            if size:
                self.h2.send_data(stream_id, data[:size])
                data = data[size:]
                await self.flush()
            else:
                async with asyncio.timeout(PATIENCE):
                    await self._window.wait()

    async def request(self, headers, *, end_stream=False, owns_connection=False):
        stream_id = self.h2.get_next_available_stream_id()
        peer = self._streams[stream_id] = Http2Peer(self, stream_id, owns_connection=owns_connection)
        peer.is_websocket = not end_stream
        self.h2.send_headers(stream_id, headers, end_stream=end_stream)
        await self.flush()
        async with asyncio.timeout(PATIENCE):
            await peer.answered.wait()
        return peer

    async def open_websocket(
        self, path="/ws", headers=(), *, protocol="websocket", host="localhost", owns_connection=False
    ):
        fields = connect_fields(path, headers, protocol=protocol, host=host)
        return await self.request(fields, owns_connection=owns_connection)

    async def aclose(self):
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.transport.abort()


async def open_http2(port, path="/ws", headers=(), tls=None, host="localhost"):
    connection = await Http2Connection.open(port, tls)
    return await connection.open_websocket(path, headers, owns_connection=True, host=host)


async def get_http2(port, path="/", headers=()):
    connection = await Http2Connection.open(port)
    try:
        fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        peer = await connection.request([*fields, *((n.lower(), v) for n, v in headers)], end_stream=True)
        await peer.wait_ended()
        return peer.status, peer.headers, bytes(peer.body)
    finally:
        await connection.aclose()
