"""A TCP connection."""

from __future__ import annotations

import socket

from load.wire.address import Address
from load.wire.stream import READ_BYTES

SEND_WITHIN = 60.0
"""Seconds that a server may take to read what is sent to it."""


class TcpStream:
    """Implements `Connection`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes) -> None:
        self._sock.settimeout(SEND_WITHIN)
        self._sock.sendall(data)

    def receive(self, within: float) -> bytes:
        self._sock.settimeout(max(within, 1e-6))  # 0 would make it non-blocking
        return self._sock.recv(READ_BYTES)

    def shut_down(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

    def close(self) -> None:
        self._sock.close()


def connect(address: Address, within: float, *, reads_little: bool = False) -> TcpStream:
    """A connection within so many seconds. Raises `OSError`, and `UnicodeError` for a name that is none.

    `reads_little`: let this machine's kernel take next to nothing that nobody receives. On loopback it would take
    megabytes, which no network does.
    """
    # socket.create_connection sets no options before it connects.
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
            return TcpStream(sock)
    raise failed or OSError("the name has no address")
