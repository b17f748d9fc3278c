"""A TCP connection, with TLS or without."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

from load.wire.address import Address
from load.wire.stream import READ_BYTES

SEND_WITHIN = 60.0
"""Seconds that a server may take to read what is sent to it."""


class Unreachable(Exception):
    """There is no connection to be had."""

    def __init__(self, address: Address, error: OSError | UnicodeError) -> None:
        self.authority = address.authority
        self.why = getattr(error, "strerror", None) or str(error) or type(error).__name__

    def __str__(self) -> str:
        return f"no connection to {self.authority}: {self.why}"


class TcpStream:
    """Implements `Stream`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def open(
        cls, address: Address, within: float, *, alpn: Sequence[str] = ("http/1.1",), reads_little: bool = False
    ) -> TcpStream:
        """Connect within so many seconds. Raises `Unreachable`.

        `reads_little`: let this machine's kernel take next to nothing that nobody receives. On loopback it would take
        megabytes, which no network does.
        """
        try:
            sock = _connect(address, within, reads_little=reads_little)
            if address.tls is not None:
                address.tls.set_alpn_protocols(list(alpn))
                sock = _with_tls(sock, address.tls, address.host)
        except (OSError, UnicodeError) as error:  # a name that is none
            raise Unreachable(address, error) from None
        return cls(sock)

    def send(self, data: bytes) -> None:
        self._sock.settimeout(SEND_WITHIN)
        self._sock.sendall(data)

    def receive(self, within: float) -> bytes:
        self._sock.settimeout(max(within, 1e-6))  # 0 would make it non-blocking
        return self._sock.recv(READ_BYTES)

    def close(self) -> None:
        self._sock.close()


def _connect(address: Address, within: float, *, reads_little: bool) -> socket.socket:
    """As `socket.create_connection`, which sets no options before it connects."""
    failed: OSError | None = None
    for family, kind, protocol, _, target in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            if reads_little:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(within)
            sock.connect(target)
        except BaseException as error:  # a greenlet may be killed while it connects
            sock.close()
            if not isinstance(error, OSError):
                raise
            failed = error
        else:
            return sock
    raise failed or OSError("the name has no address")


def _with_tls(sock: socket.socket, tls: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    try:
        return tls.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise
