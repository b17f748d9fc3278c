"""One client of the load generator: it opens a WebSocket, runs its script, then counts or parses messages."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Literal

from load.bench.counting import ReadBuffer, Tally
from load.bench.dialects import Script
from load.bench.frames import CLOSE, PING, PONG, TEXT, FrameReader, client_frame

Phase = Literal["upgrading", "in script", "counting", "watching", "ended"]

_ENGINE_IO_PING, _ENGINE_IO_PONG = b"2", b"3"


class Connection:
    """A non-blocking client. Call `receive()` when its socket is readable and `flush()` when it is writable again.

    After its script it counts chat messages in `tally`; after `watch()` it parses every frame instead.
    """

    def __init__(
        self, port: int, path: str, script: Script, buffer: ReadBuffer, *, segment_bytes: int | None = None
    ) -> None:
        """`segment_bytes`: maximum TCP segment size, to imitate a network. Loopback's segments of 64 KiB let the kernel
        hold megabytes for a client that does not read."""
        self.tally = Tally()
        self.phase: Phase = "upgrading"
        self.end_reason = ""
        self.received_bytes = 0
        self.on_text: Callable[[bytes], None] | None = None
        self.on_echo: Callable[[int], None] | None = None
        """Called after a read, with the number of this client's own messages in it."""
        self._script = script
        self._buffer = buffer
        self._frames = FrameReader()
        self._head = b""
        self._unsent = bytearray()
        self.sock = socket.socket()
        if segment_bytes is not None:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment_bytes)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        self._write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    @property
    def is_ready(self) -> bool:
        return self.phase in ("counting", "watching")

    @property
    def wants_to_write(self) -> bool:
        return bool(self._unsent)

    def receive(self) -> None:
        """Read once and handle the data. Raises `RefusedByServer` if the script does."""
        try:
            if self.phase == "counting":
                self._receive_counting()
                return
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(error.strerror or str(error))
            return
        if not data:
            self.end("the server closed the connection")
        elif self.phase == "upgrading":
            self._receive_head(data)
        else:
            self._handle_frames(data)

    def watch(self, on_text: Callable[[bytes], None]) -> None:
        """From now on parse each frame, and pass each text to the callback."""
        self.on_text = on_text
        self.phase = "watching"

    def send(self, frames: bytes) -> None:
        """Send encoded frames. Buffers what the socket does not accept yet."""
        self._write(frames)

    def flush(self) -> None:
        unsent = bytes(self._unsent)
        self._unsent.clear()
        self._write(unsent)

    def end(self, reason: str) -> None:
        if self.phase != "ended":
            self.phase = "ended"
            self.end_reason = reason
            self.sock.close()

    def _receive_counting(self) -> None:
        tally = self.tally
        own = tally.own
        size = self._buffer.read(self.sock, tally)
        if not size:
            self.end("the server closed the connection")
            return
        self.received_bytes += size
        if tally.pings:
            for payload in tally.pings:
                self._write(client_frame(payload, PONG))
            tally.pings.clear()
        if tally.own != own and self.on_echo is not None:
            self.on_echo(tally.own - own)

    def _receive_head(self, data: bytes) -> None:
        head, separator, rest = (self._head + data).partition(b"\r\n\r\n")
        if not separator:
            self._head = head
            return
        status = head.split(b"\r\n", 1)[0]
        if b" 101" not in status:
            self.end(f"the server refused the upgrade with {status.decode('latin1')!r}")
            return
        self.phase = "in script"
        self._step(None)
        self._handle_frames(rest)

    def _handle_frames(self, data: bytes) -> None:
        for opcode, payload in self._frames.feed(data):
            if opcode == PING:
                self._write(client_frame(payload, PONG))
            elif opcode == CLOSE:
                self.end(f"the server closed with {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()!r}")
            elif opcode != TEXT:
                continue
            elif payload == _ENGINE_IO_PING:
                self._write(client_frame(_ENGINE_IO_PONG))
            elif self.phase == "in script":
                self._step(payload)
            elif self.phase == "counting":
                self._buffer.feed(payload, self.tally)  # arrived in the same read as the script's last text
            elif self.on_text is not None:
                self.on_text(payload)
        if self.phase == "counting":
            self._buffer.feed(self._frames.take_rest(), self.tally)

    def _step(self, text: bytes | None) -> None:
        try:
            answer = next(self._script) if text is None else self._script.send(text)
        except StopIteration:
            self.phase = "counting"
            return
        if answer is not None:
            self._write(client_frame(answer))

    def _write(self, data: bytes) -> None:
        if self.phase == "ended":
            return
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.end(error.strerror or str(error))
            return
        if sent < len(data):
            self._unsent += data[sent:]
