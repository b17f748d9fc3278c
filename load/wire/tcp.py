"""A TCP connection."""

from __future__ import annotations

import socket

from load.wire.address import Address
from load.wire.stream import READ_BYTES

SEND_TIMEOUT = 60.0
"""Seconds in which the server must read sent data."""


class TcpStream:
    """Implements `Connection`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes) -> None:
        self._sock.settimeout(SEND_TIMEOUT)
        self._sock.sendall(data)

    def receive(self, timeout: float) -> bytes:
        self._sock.settimeout(max(timeout, 1e-6))  # 0 would make it non-blocking
        return self._sock.recv(READ_BYTES)

    def shut_down(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # already disconnected

    def close(self) -> None:
        self._sock.close()


def connect(address: Address, timeout: float, *, small_receive_buffer: bool = False) -> TcpStream:
    """Connect within `timeout` seconds. Raises `OSError`, and `UnicodeError` for an invalid host name.

    `small_receive_buffer`: limit the unread data that this machine's kernel holds to a few kilobytes. On loopback it
    would otherwise hold megabytes, which no network does.
    """
    # socket.create_connection cannot set options before it connects.
    failed: OSError | None = None
    for family, socket_type, protocol, _, target in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, socket_type, protocol)
        try:
            if small_receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(timeout)
            sock.connect(target)
        except BaseException as error:  # a greenlet may be killed while it connects
            sock.close()
            if not isinstance(error, OSError):
                raise
            failed = error
        else:
            return TcpStream(sock)
    raise failed or OSError("the host name has no address")
