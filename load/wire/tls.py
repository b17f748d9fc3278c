"""TLS on a TCP connection."""

from __future__ import annotations

import ssl
import threading
import time

from load.wire.stream import READ_BYTES, Connection


class TlsStream:
    """Implements `Connection`. One thread (or greenlet) may receive while others send.

    An OpenSSL session must not be used by two threads at once, and `SSLSocket` does not prevent that: with it, 3 of 40
    runs of the HTTP/2 tests, which read and write in different threads, failed with a broken record.
    """

    def __init__(self, stream: Connection, context: ssl.SSLContext, server_name: str) -> None:
        self._stream = stream
        self._lock = threading.Lock()  # held around the session and the send of its output, which keeps it in order
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def do_handshake(self, timeout: float) -> None:
        """Perform the handshake, before anything else.

        Raises `ssl.SSLError` if one side does not trust the other, `TimeoutError`, or another `OSError`.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed(self._stream.receive(deadline - time.monotonic()))
            except ssl.SSLError:
                self._flush()  # the alert, which tells the server the reason
                raise
            else:
                self._flush()
                return

    def send(self, data: bytes) -> None:
        with self._lock:
            self._session.write(data)
            self._flush()

    def receive(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                try:
                    return self._session.read(READ_BYTES)
                except ssl.SSLWantReadError:
                    self._flush()
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            received = self._stream.receive(deadline - time.monotonic())
            with self._lock:
                self._feed(received)

    def shut_down(self) -> None:
        self._stream.shut_down()

    def close(self) -> None:
        self._stream.close()

    def _feed(self, received: bytes) -> None:
        if received:
            self._incoming.write(received)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._stream.send(data)
