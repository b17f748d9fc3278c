"""The way to a client: one line in a user's own program."""

from __future__ import annotations

import random
import secrets
import ssl
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client.backoff import Backoff
from chat_actors.client.chat_client import ChatClient
from chat_actors.client.conversation import Conversation
from chat_actors.client.socket import ClientSocket, websocket_url


class connect:  # noqa: N801 - reads as a verb at its use, like `open`
    """`async with connect(url, user_id, key) as chat:` a user who is logged in, and stays so.

    A user that the server does not know is registered. A connection that is lost later is made again, for as long as it
    takes, unless `reconnect` is False. With `listen` False, nothing that others say is kept to be read. `tls` is for a
    server with a certificate of one's own. Raises `ConnectionLost`, or `Refused` with the server's reason.
    """

    def __init__(
        self,
        url: str,
        user_id: str,
        key: RSAPrivateKey,
        *,
        tls: ssl.SSLContext | None = None,
        reconnect: bool = True,
        listen: bool = True,
        backoff: Backoff | None = None,
    ) -> None:
        address = websocket_url(url)
        self._client = ChatClient(
            address,
            Conversation(user_id, key, new_id=lambda: secrets.token_urlsafe(16)),
            lambda: ClientSocket.open(address, tls),
            backoff or Backoff(random.random),
            reconnect=reconnect,
            listen=listen,
        )

    async def __aenter__(self) -> ChatClient:
        await self._client.start()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()
