"""The ways to a client: one line in a user's own program."""

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


def usual_backoff() -> Backoff:
    """Pauses at random, of half a second at first and half a minute at most."""
    return Backoff(random.random)


def connect(
    url: str,
    identity: Identity,
    *,
    messages: Iterable[type[ExtensionMessage]] = (),
    tls: ssl.SSLContext | None = None,
    reconnect: bool = True,
    backoff: Callable[[], Backoff] = usual_backoff,
) -> Chat:
    """`async with connect(url, identity) as chat:` a user at a server. Each `chat.room(name)` has its own connection.

    Nothing is sent until a room is used. A user that the server does not know is registered. `messages` are those of
    extensions that are to be among a room's events. `tls` is for a server with a certificate of one's own. A connection
    that is lost is made again, for as long as it takes, unless `reconnect` is False; `backoff` says after which pauses.

    Raises `ConnectionLost` if `url` is no address, `ValueError` if two of `messages` are of the same `type`.
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

    make_client(listen=False)  # what cannot work is said here, and not when a room is used
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
    """`async with open_connection(url, identity) as client:` one connection, which goes from room to room.

    For programs that want to be in many rooms in turn; `connect` is simpler for all others. With `listen` False,
    nothing that others say is kept to be read. Raises `ConnectionLost`, or `Refused` with the server's reason.
    """
    address = websocket_url(url)
    client = ChatClient(
        address,
        Conversation(identity.user_id, identity.key, new_id=_new_id),
        lambda: ClientSocket.open(address, tls),
        backoff or usual_backoff(),
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
