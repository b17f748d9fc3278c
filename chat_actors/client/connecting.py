"""The function that connects to a server."""

from __future__ import annotations

import random
import secrets
import ssl
from collections.abc import Callable, Iterable

from chat_actors.client.backoff import Backoff
from chat_actors.client.chat import Chat
from chat_actors.client.chat_connection import ChatConnection
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
    """Make a chat: `async with connect(url, identity) as chat:`. All its rooms share one connection and one login.

    The connection is opened when the first room is used, and stays open until the end of the chat. The server registers
    an unknown user at its first login.

    Args:
        url: The server's address: `http://`, `https://`, `ws://` or `wss://`; without a path, `/ws` is added.
        identity: The user and its key.
        messages: The extension messages to receive among the events of a room or of the chat.
        tls: Used instead of the system's trusted certificates, for a private certificate authority.
        reconnect: Whether to restore a lost connection, for as long as it takes.
        backoff: Makes a `Backoff`: one for the connection, and one for each room that must try again.

    Returns:
        The chat, not connected yet.

    Raises:
        ConnectionLost: `url` is not a URL.
        ValueError: Two of `messages` have the same `type`.
    """
    address = websocket_url(url)
    conversation = Conversation(identity.user_id, identity.key, new_id=_new_id, extra=messages)
    return Chat(
        ChatConnection(address, conversation, lambda: ClientSocket.open(address, tls), backoff, reconnect=reconnect)
    )


def _new_id() -> str:
    return secrets.token_urlsafe(16)
