"""What a user's own program imports: a sans-I/O client session, and an async client that recovers by itself."""

from chat_actors.client.backoff import Backoff
from chat_actors.client.chat_client import ChatClient
from chat_actors.client.connecting import connect
from chat_actors.client.conversation import Conversation, TooMuchUnsent
from chat_actors.client.events import ClientEvent, NobodyReads, NotSent, Reconnected, Reconnecting
from chat_actors.client.keyfile import KeyFileError, generate_key, load_or_create_key, public_pem, save_key
from chat_actors.client.session import ClientSession, Refused, Step
from chat_actors.client.socket import ConnectionLost
from chat_actors.client.stay import Gap

__all__ = [
    "Backoff",
    "ChatClient",
    "ClientEvent",
    "ClientSession",
    "ConnectionLost",
    "Conversation",
    "Gap",
    "KeyFileError",
    "NobodyReads",
    "NotSent",
    "Reconnected",
    "Reconnecting",
    "Refused",
    "Step",
    "TooMuchUnsent",
    "connect",
    "generate_key",
    "load_or_create_key",
    "public_pem",
    "save_key",
]
