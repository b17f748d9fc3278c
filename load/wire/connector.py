"""Opens a connection to the server, with or without TLS."""

from __future__ import annotations

import ssl

from load.wire.address import Address
from load.wire.stream import Connection
from load.wire.tcp import connect
from load.wire.tls import TlsStream


class Unreachable(Exception):
    """The connection could not be opened."""

    def __init__(self, address: Address, error: OSError | UnicodeError) -> None:
        self.authority = address.authority
        self.reason = getattr(error, "strerror", None) or str(error) or type(error).__name__

    def __str__(self) -> str:
        return f"no connection to {self.authority}: {self.reason}"


def open_connection(address: Address, timeout: float, alpn: str, *, small_receive_buffer: bool = False) -> Connection:
    """Connect within `timeout` seconds and offer only the ALPN protocol `alpn`. Raises `Unreachable`.

    `small_receive_buffer`: see `connect`.
    """
    try:
        connection = connect(address, timeout, small_receive_buffer=small_receive_buffer)
        if address.tls is None:
            return connection
        address.tls.set_alpn_protocols([alpn])
        return _with_tls(connection, address.tls, address.host, timeout)
    except (OSError, UnicodeError) as error:  # UnicodeError: an invalid host name
        raise Unreachable(address, error) from None


def _with_tls(connection: Connection, context: ssl.SSLContext, host: str, timeout: float) -> Connection:
    try:
        tls = TlsStream(connection, context, host)
        tls.do_handshake(timeout)
    except BaseException:
        connection.close()
        raise
    return tls
