"""A connection to the server, with TLS or without."""

from __future__ import annotations

import ssl

from load.wire.address import Address
from load.wire.stream import Connection
from load.wire.tcp import connect
from load.wire.tls import TlsStream


class Unreachable(Exception):
    """There is no connection to be had."""

    def __init__(self, address: Address, error: OSError | UnicodeError) -> None:
        self.authority = address.authority
        self.why = getattr(error, "strerror", None) or str(error) or type(error).__name__

    def __str__(self) -> str:
        return f"no connection to {self.authority}: {self.why}"


def open_connection(address: Address, within: float, alpn: str, *, reads_little: bool = False) -> Connection:
    """Connect within so many seconds; `alpn` is the one protocol offered. Raises `Unreachable`.

    `reads_little`: see `connect`.
    """
    try:
        connection = connect(address, within, reads_little=reads_little)
        if address.tls is None:
            return connection
        address.tls.set_alpn_protocols([alpn])
        return _with_tls(connection, address.tls, address.host, within)
    except (OSError, UnicodeError) as error:  # a name that is none
        raise Unreachable(address, error) from None


def _with_tls(connection: Connection, context: ssl.SSLContext, host: str, within: float) -> Connection:
    try:
        tls = TlsStream(connection, context, host)
        tls.shake_hands(within)
    except BaseException:
        connection.close()
        raise
    return tls
