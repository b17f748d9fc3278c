"""A WebSocket connection to a server. All failures are `ConnectionLost`."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI

from chat_actors.client.errors import ClientError
from chat_actors.protocol import CloseCode

OPEN_TIMEOUT = 30.0
"""Seconds for the connection and its handshake."""

PLAIN_HTTP_REASONS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
"""OpenSSL's reason for an answer in plain HTTP; it depends on the version of OpenSSL."""

MAX_MESSAGE_BYTES = 16 << 20
"""Bounds a received message. The limits of a server are far below it."""


class ConnectionLost(ClientError):
    """There is no connection, or it has ended for good.

    Attributes:
        url: The WebSocket URL.
        problem: The cause, for people.
        code: Close code of the server (RFC 6455, section 7.4); None if it sent no Close frame.
        reason: Reason of the Close frame; may be empty.
    """

    def __init__(self, url: str, problem: str, code: int | None = None, reason: str = "") -> None:
        self.url = url
        self.problem = problem
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.problem}"


class PermanentFailure(ConnectionLost):
    """Another attempt would fail too: the URL is invalid, no chat server answers there, or it is not trusted."""


def websocket_url(url: str) -> str:
    """Return a server's WebSocket URL: `http` becomes `ws`, `https` becomes `wss`, an empty path becomes `/ws`.

    Raises `PermanentFailure` if `url` is not a URL.
    """
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
    except ValueError as error:
        raise PermanentFailure(url, f"is no address: {error}") from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in {"", "/"} else "/ws", parts.query, ""))


class ClientSocket:
    """One connection. `send` and `receive` raise `ConnectionLost` when it ends."""

    def __init__(self, url: str, connection: ClientConnection) -> None:
        self._url = url
        self._connection = connection

    @classmethod
    async def open(cls, url: str, tls: ssl.SSLContext | None) -> ClientSocket:
        """Connect. Raises `ConnectionLost`; `PermanentFailure` if another attempt would fail too."""
        # websockets refuses `ssl=None` with wss, and True with ws.
        secure = tls or (True if url.startswith("wss:") else None)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):  # replaces the timeout of the library
                connection = await open_websocket(
                    url, ssl=secure, compression=None, open_timeout=None, max_size=MAX_MESSAGE_BYTES
                )
                return cls(url, connection)
        except TimeoutError:
            raise ConnectionLost(url, f"no answer within {OPEN_TIMEOUT:g} s") from None
        except ImportError as error:  # the environment names a proxy that needs another package
            raise PermanentFailure(url, f"cannot be reached through the proxy: {error}") from None
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate is not trusted: {error.verify_message}"
            raise PermanentFailure(url, f"{why}; name those to trust, with --ca FILE or `tls=`") from None
        except (InvalidURI, UnicodeError, ValueError) as error:
            raise PermanentFailure(url, f"is no chat server: {error}") from None
        except ssl.SSLError as error:
            is_plain_http = error.reason in PLAIN_HTTP_REASONS
            hint = "does it speak http:// (ws://), without TLS?" if is_plain_http else "is the server up?"
            raise ConnectionLost(url, f"cannot connect: {error.reason or error}; {hint}") from None
        except OSError as error:
            raise ConnectionLost(url, f"cannot connect: {error.strerror or error}; is the server up?") from None
        except (InvalidHandshake, EOFError) as error:
            hint = "; does it speak https:// (wss://)?" if isinstance(error, InvalidMessage) and secure is None else ""
            raise ConnectionLost(url, f"is no chat server: {error}{hint}") from None

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise self._lost(error) from None

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise self._lost(error) from None

    async def aclose(self) -> None:
        await self._connection.close()

    def _lost(self, error: ConnectionClosed) -> ConnectionLost:
        if error.rcvd is None:
            if error.sent is not None and error.sent.code == CloseCode.TOO_BIG:
                return PermanentFailure(
                    self._url, f"the server sent more than {MAX_MESSAGE_BYTES >> 20} MiB at once", CloseCode.TOO_BIG
                )
            return ConnectionLost(self._url, "the connection broke")
        code, reason = error.rcvd.code, error.rcvd.reason
        return ConnectionLost(self._url, f"the server closed: {reason or code}", code, reason)
