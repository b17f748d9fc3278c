"""A blocking WebSocket (RFC 6455) on any stream."""

from __future__ import annotations

import time
from collections import deque

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Protocol
from websockets.uri import parse_uri

from load.wire.address import Address
from load.wire.connector import open_connection
from load.wire.stream import Stream

PATH = "/ws"
MAX_TEXT = 1 << 22
"""Maximum size of a received message in bytes. The largest, a page of history, has about 64 KiB."""

ABNORMAL_CLOSURE = 1006
"""The close code of a connection that ended without a close frame; never sent (RFC 6455, section 7.1.5)."""


class Closed(Exception):
    """The WebSocket is closed."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        # Without the reason, which may differ between clients: equal failures are counted together.
        return f"closed {self.code}" + (", without a close frame" if self.code == ABNORMAL_CLOSURE else "")


class UpgradeRefused(Exception):
    """The server did not accept the upgrade to a WebSocket."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"upgrade refused: {self.reason}"


class WebSocket:
    """Sends and receives text messages. Answers pings only during `receive`."""

    def __init__(self, stream: Stream, protocol: Protocol) -> None:
        """`stream`: one on which the opening handshake is done."""
        self._stream = stream
        self._protocol = protocol
        self._texts: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._closed: Closed | None = None

    @classmethod
    def open(cls, address: Address, timeout: float, *, small_receive_buffer: bool = False) -> WebSocket:
        """Open a WebSocket over HTTP/1.1. Raises `Unreachable`, `UpgradeRefused`, `TimeoutError`.

        `small_receive_buffer`: see `connect`.
        """
        deadline = time.monotonic() + timeout
        stream = open_connection(address, timeout, "http/1.1", small_receive_buffer=small_receive_buffer)
        scheme = "ws" if address.tls is None else "wss"
        protocol = ClientProtocol(parse_uri(f"{scheme}://{address.authority}{PATH}"), max_size=MAX_TEXT)
        protocol.send_request(protocol.connect())
        self = cls(stream, protocol)
        try:
            self._flush()
            while not any(isinstance(event, Response) for event in self._read(deadline - time.monotonic())):
                pass
        except BaseException as error:
            stream.close()
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise UpgradeRefused(error.strerror or str(error)) from None
            raise
        return self

    def send(self, text: str) -> None:
        """Send a text. Raises `Closed`."""
        if self._closed is not None:
            raise self._closed
        self._protocol.send_text(text.encode())
        try:
            self._flush()
        except OSError:
            # The server's last frames may still be unread, above all its close frame.
            self._read_to_the_end()
            raise self._set_closed() from None

    def receive(self, timeout: float) -> bytes:
        """Receive a text. Raises `TimeoutError` after `timeout` seconds, or `Closed`."""
        if self._texts:
            return self._texts.popleft()
        deadline = time.monotonic() + timeout
        while not self._texts:
            if self._closed is not None:
                raise self._closed
            try:
                self._read(deadline - time.monotonic())
            except TimeoutError:
                raise
            except OSError:
                self._set_closed()
        return self._texts.popleft()

    def close(self) -> None:
        """Send a close frame and close the stream without waiting for the server's. Idempotent."""
        if self._closed is None:
            self._closed = Closed(1000, "closed locally")
            try:
                self._protocol.send_close(1000)
                self._flush()
            except (OSError, TimeoutError):
                pass  # already disconnected
        self._stream.close()

    def abort(self) -> None:
        """Close the stream without a close frame, like a lost connection."""
        if self._closed is None:
            self._closed = Closed(ABNORMAL_CLOSURE, "closed locally")
        self._stream.close()

    def _read(self, timeout: float) -> list[object]:
        data = self._stream.receive(timeout)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        events = self._protocol.events_received()
        for event in events:
            if isinstance(event, Frame):
                self._handle_frame(event)
        if isinstance(self._protocol, ClientProtocol) and self._protocol.handshake_exc is not None:
            raise UpgradeRefused(_describe(self._protocol.handshake_exc))
        if self._protocol.close_rcvd is not None or not data:
            self._set_closed()
        self._flush()
        return list(events)

    def _read_to_the_end(self) -> None:
        try:
            while self._closed is None:
                self._read(1.0)
        except OSError:
            pass

    def _handle_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            if frame.fin and not self._parts:
                self._texts.append(bytes(frame.data))
                return
            self._parts.append(bytes(frame.data))
            if frame.fin:
                self._texts.append(b"".join(self._parts))
                self._parts.clear()

    def _set_closed(self) -> Closed:
        if self._closed is None:
            close = self._protocol.close_rcvd
            self._closed = Closed(ABNORMAL_CLOSURE, "") if close is None else Closed(close.code, close.reason)
            if close is None:
                self._stream.close()
        return self._closed

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # empty data requests a half-close; `close()` closes both directions
                self._stream.send(data)


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, InvalidHandshake) else f"{type(error).__name__}: {error}"
