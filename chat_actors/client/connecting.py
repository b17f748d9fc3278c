"""The functions that connect to a server."""

from __future__ import annotations

import random
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from chat_actors.client.backoff import Backoff
from chat_actors.client.chat import Chat
from chat_actors.client.chat_client import ChatClient
from chat_actors.client.conversation import Conversation
from chat_actors.client.identity import Identity
from chat_actors.client.socket import ClientSocket, websocket_url
from chat_actors.protocol import ExtensionMessage


def default_backoff() -> Backoff:
    """Random pauses: the first up to 0.5 s, the longest up to 30 s."""
    return Backoff(random.random)


def connect(
    url: str,
    identity: Identity,
    *,
    messages: Iterable[type[ExtensionMessage]] = (),
    tls: ssl.SSLContext | None = None,
    reconnect: bool = True,
    backoff: Callable[[], Backoff] = default_backoff,
) -> Chat:
    """Make a chat: `async with connect(url, identity) as chat:`. Each `chat.room(name)` has its own connection.

    Nothing is sent until a room is used. The server registers an unknown user at its first login.

    Args:
        url: The server's address: `http://`, `https://`, `ws://` or `wss://`; without a path, `/ws` is added.
        identity: The user and its key.
        messages: The extension messages to receive among a room's events.
        tls: Used instead of the system's trusted certificates, for a private certificate authority.
        reconnect: Whether to restore a lost connection, for as long as it takes.
        backoff: Makes the `Backoff` of each connection.

    Returns:
        The chat, not connected yet.

    Raises:
        ConnectionLost: `url` is not a URL.
        ValueError: Two of `messages` have the same `type`.
    """
    address, extra = websocket_url(url), tuple(messages)

    def make_client(*, listen: bool) -> ChatClient:
        conversation = Conversation(identity.user_id, identity.key, new_id=_new_id, extra=extra)
        return ChatClient(
            address,
            conversation,
            lambda: ClientSocket.open(address, tls),
            backoff(),
            reconnect=reconnect,
            listen=listen,
        )

    make_client(listen=False)  # raise for wrong arguments here, and not when a room is used
    return Chat(identity.user_id, address, make_client)


@asynccontextmanager
async def open_connection(
    url: str,
    identity: Identity,
    *,
    tls: ssl.SSLContext | None = None,
    reconnect: bool = True,
    listen: bool = True,
    backoff: Backoff | None = None,
) -> AsyncIterator[ChatClient]:
    """Open one connection that can change rooms: `async with open_connection(url, identity) as client:`.

    `connect` is simpler for programs that stay in their rooms.

    Args:
        url: The server's address, as for `connect`.
        identity: The user and its key.
        tls: Used instead of the system's trusted certificates.
        reconnect: Whether to restore a lost connection, for as long as it takes.
        listen: False drops all events instead of keeping them, for a program that only posts.
        backoff: The pauses before reconnecting; by default random ones of up to 30 s.

    Returns:
        A context manager that yields the logged-in client.

    Raises:
        ConnectionLost: There is no connection.
        AccessRefused: The server refused the login.
    """
    address = websocket_url(url)
    client = ChatClient(
        address,
        Conversation(identity.user_id, identity.key, new_id=_new_id),
        lambda: ClientSocket.open(address, tls),
        backoff or default_backoff(),
        reconnect=reconnect,
        listen=listen,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.aclose()


def _new_id() -> str:
    return secrets.token_urlsafe(16)
