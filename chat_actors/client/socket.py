"""A WebSocket to a server, over the `websockets` library, with one kind of error."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI

from chat_actors.client.errors import ClientError
from chat_actors.protocol import CloseCode

OPEN_WITHIN = 30.0
"""Seconds for the connection and its handshake."""

NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
"""What OpenSSL says of an answer in plain HTTP, by its version."""

MAX_TEXT = 16 << 20
"""Bytes of the longest text that is taken: far beyond what a server lets anybody say."""


class ConnectionLost(ClientError):
    """There is no connection, or no longer: `code` and `reason` are of the server's Close, if it sent one."""

    def __init__(self, url: str, problem: str, code: int | None = None, reason: str = "") -> None:
        self.url = url
        self.problem = problem
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.problem}"


class NoServer(ConnectionLost):
    """To try again is of no use: it is no address, or what answers there is no chat server, or is not trusted."""


def websocket_url(url: str) -> str:
    """The WebSocket's URL of a server: `http` and `https` become `ws` and `wss`, no path becomes `/ws`.

    Raises `NoServer`.
    """
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
    except ValueError as error:
        raise NoServer(url, f"is no address: {error}") from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in {"", "/"} else "/ws", parts.query, ""))


class ClientSocket:
    """One connection: texts both ways, until either raises `ConnectionLost`."""

    def __init__(self, url: str, connection: ClientConnection) -> None:
        self._url = url
        self._connection = connection

    @classmethod
    async def open(cls, url: str, tls: ssl.SSLContext | None) -> ClientSocket:
        """Connect. Raises `ConnectionLost`; `NoServer` if that will not change."""
        # `ssl` of None would be refused for wss, True for ws.
        secure = tls or (True if url.startswith("wss:") else None)
        try:
            async with asyncio.timeout(OPEN_WITHIN):  # no time of the library's own: ours holds
                connection = await open_websocket(
                    url, ssl=secure, compression=None, open_timeout=None, max_size=MAX_TEXT
                )
                return cls(url, connection)
        except TimeoutError:
            raise ConnectionLost(url, f"no answer within {OPEN_WITHIN:g} s") from None
        except ImportError as error:  # a proxy, named by the environment, that needs a package of its own
            raise NoServer(url, f"cannot be reached through the proxy: {error}") from None
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate is not trusted: {error.verify_message}"
            raise NoServer(url, f"{why}; name those to trust, with --ca FILE or `tls=`") from None
        except (InvalidURI, UnicodeError, ValueError) as error:
            raise NoServer(url, f"is no chat server: {error}") from None
        except ssl.SSLError as error:
            is_no_tls = error.reason in NO_TLS
            hint = "does it speak http:// (ws://), without TLS?" if is_no_tls else "is the server up?"
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
                return NoServer(self._url, f"the server sent more than {MAX_TEXT >> 20} MiB at once", CloseCode.TOO_BIG)
            return ConnectionLost(self._url, "the connection broke")
        code, reason = error.rcvd.code, error.rcvd.reason
        return ConnectionLost(self._url, f"the server closed: {reason or code}", code, reason)
