"""An async client over the `websockets` library."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from chat_actors.client.session import ClientSession
from chat_actors.protocol import ServerMessage

LOGIN_WITHIN = 30.0
"""Seconds for the connection and the login."""


class ConnectionLost(Exception):
    """There is no connection, or no longer: `code` is the server's close code, if it sent one."""

    def __init__(self, url: str, problem: str, code: int | None = None) -> None:
        self.url = url
        self.problem = problem
        self.code = code

    def __str__(self) -> str:
        return f"{self.url}: {self.problem}"


def websocket_url(url: str) -> str:
    """The WebSocket's URL of a server: `http` and `https` become `ws` and `wss`, no path becomes `/ws`."""
    parts = urlsplit(url if "://" in url else f"ws://{url}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in {"", "/"} else "/ws", parts.query, ""))


class ChatClient:
    """A logged-in user: `async with connect(...) as chat`, then `join`, `say`, and `async for message in chat`.

    Does not reconnect. Messages that nobody reads wait in the connection's own bounded buffer, and then the server is
    not read from.
    """

    def __init__(self, url: str, socket: ClientConnection, session: ClientSession) -> None:
        self._url = url
        self._socket = socket
        self._session = session

    @property
    def user_id(self) -> str:
        return self._session.user_id

    async def join(self, room_id: str) -> None:
        """Ask to enter a room; `Joined` is the answer, among the messages."""
        self._session.join(room_id)
        await self.flush()

    async def say(self, content: str) -> None:
        """Post to the room. Comes back among the messages, like everybody else's."""
        self._session.say(content)
        await self.flush()

    def __aiter__(self) -> AsyncIterator[ServerMessage]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[ServerMessage]:
        while True:
            message = await self.receive()
            if message is not None:
                yield message

    async def receive(self) -> ServerMessage | None:
        """The next message; None for what the session has dealt with itself. Raises `ConnectionLost`, `Refused`."""
        try:
            message = self._session.receive(await self._socket.recv())
        except ConnectionClosed as error:
            raise self._lost(error) from None
        await self.flush()
        return message

    async def flush(self) -> None:
        """Send what the session has to say."""
        try:
            for text in self._session.to_send():
                await self._socket.send(text)
        except ConnectionClosed as error:
            raise self._lost(error) from None

    async def aclose(self) -> None:
        await self._socket.close()

    def _lost(self, error: ConnectionClosed) -> ConnectionLost:
        if error.rcvd is None:
            return ConnectionLost(self._url, "the connection broke")
        return ConnectionLost(self._url, f"the server closed: {error.rcvd.reason or error.rcvd.code}", error.rcvd.code)


class connect:  # noqa: N801 - reads as a verb at its use, like `open`
    """`async with connect(url, user_id, key) as chat:` a connection on which the user is logged in.

    A user that the server does not know is registered. `tls` is for a server with a certificate of one's own. Raises
    `ConnectionLost`, or `Refused` with the server's reason.
    """

    def __init__(self, url: str, user_id: str, key: RSAPrivateKey, *, tls: ssl.SSLContext | None = None) -> None:
        self._url = websocket_url(url)
        self._session = ClientSession(user_id, key)
        self._tls = tls
        self._client: ChatClient | None = None

    async def __aenter__(self) -> ChatClient:
        try:
            async with asyncio.timeout(LOGIN_WITHIN):
                socket = await open_websocket(self._url, ssl=self._tls, compression=None)
                self._client = client = ChatClient(self._url, socket, self._session)
                try:
                    await client.flush()
                    while not self._session.is_ready:
                        await client.receive()
                except BaseException:
                    await client.aclose()
                    raise
        except TimeoutError:
            raise ConnectionLost(self._url, f"no answer within {LOGIN_WITHIN:g} s") from None
        except OSError as error:
            raise ConnectionLost(self._url, f"cannot connect: {error.strerror or error}; is the server up?") from None
        except (InvalidHandshake, InvalidURI) as error:
            raise ConnectionLost(self._url, f"is no chat server: {error}") from None
        return client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()
