"""WebSockets over HTTP/1.1, and plain requests."""

import asyncio
import socket
import struct

from tests.patience import PATIENCE
from tests.wire.peer import Peer


class Http1Peer(Peer):
    def __init__(self, status, headers, reader, writer):
        super().__init__(status, headers)
        self._reader = reader
        self._writer = writer
        self._reading = asyncio.create_task(self._read())

    async def _read(self):
        try:
            while data := await self._reader.read(65536):
                self.feed(data)
        except OSError:
            pass
        finally:
            self.feed_end()

    async def write(self, data):
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            pass  # the server has closed the connection; the reader reports it

    async def abort(self):
        """Abort the connection with a TCP reset."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        await self.wait_ended()

    def stop_reading(self):
        """Stop reading from the socket."""
        self._reading.cancel()
        self._writer.transport.pause_reading()

    async def half_close(self):
        """Send a FIN without a Close frame."""
        self._writer.write_eof()

    async def aclose(self):
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.transport.abort()


async def _read_head(reader):
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers


async def connect_raw(port, tls=None, receive_buffer=None):
    """`receive_buffer`: bytes of the socket's buffer; if small, a peer that does not read soon stalls the server."""
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname="localhost" if tls else None)


def upgrade_request(path="/ws", headers=(), host="localhost"):
    """The bytes of the HTTP upgrade request (RFC 6455, section 4.1)."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def open_http1(port, path="/ws", headers=(), tls=None, receive_buffer=None, host="localhost"):
    reader, writer = await connect_raw(port, tls, receive_buffer)
    writer.write(upgrade_request(path, headers, host))
    try:
        status, answer = await _read_head(reader)
    except BaseException:
        writer.transport.abort()
        raise
    return Http1Peer(status, answer, reader, writer)


async def get_http1(port, path="/", headers=()):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers)]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        status, answer = await _read_head(reader)
        async with asyncio.timeout(PATIENCE):
            return status, answer, await reader.readexactly(int(answer["content-length"]))
    finally:
        writer.transport.abort()
