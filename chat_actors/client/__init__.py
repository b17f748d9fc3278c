"""What a user's own program imports: a sans-I/O client session, and an async client on it."""

from chat_actors.client.connection import ChatClient, ConnectionLost, connect
from chat_actors.client.keyfile import KeyFileError, generate_key, load_or_create_key, public_pem, save_key
from chat_actors.client.session import ClientSession, Refused

__all__ = [
    "ChatClient",
    "ClientSession",
    "ConnectionLost",
    "KeyFileError",
    "Refused",
    "connect",
    "generate_key",
    "load_or_create_key",
    "public_pem",
    "save_key",
]
