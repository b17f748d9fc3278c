"""The client: `connect` for programs, and the layers below it, down to a session without I/O."""

from chat_actors.client.backoff import Backoff
from chat_actors.client.chat import Chat
from chat_actors.client.connecting import connect
from chat_actors.client.conversation import Conversation
from chat_actors.client.errors import (
    ClientError,
    CommandRefused,
    RemovedFromRoom,
    ServerTooOld,
    TooMuchUnsent,
    Unanswered,
)
from chat_actors.client.event_queue import MAX_UNREAD_EVENTS
from chat_actors.client.events import ClientEvent, Gap, Reconnected, Reconnecting
from chat_actors.client.identity import Identity, key_file
from chat_actors.client.keyfile import (
    KeyFileError,
    PassphraseNeeded,
    generate_key,
    load_key,
    load_or_create_key,
    public_pem,
    save_key,
)
from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.client.room import Room
from chat_actors.client.room_conversation import RoomConversation
from chat_actors.client.session import AccessRefused, ClientSession, Step
from chat_actors.client.socket import ConnectionLost
from chat_actors.protocol.messages import (
    Accepted,
    ChatMessage,
    Error,
    ExtensionMessage,
    History,
    Joined,
    MemberList,
    UserJoined,
    UserLeft,
)

__all__ = [
    "MAX_UNREAD_EVENTS",
    "Accepted",
    "AccessRefused",
    "Backoff",
    "Chat",
    "ChatMessage",
    "ClientError",
    "ClientEvent",
    "ClientSession",
    "CommandRefused",
    "ConnectionLost",
    "Conversation",
    "Error",
    "ExtensionMessage",
    "Gap",
    "History",
    "Identity",
    "Joined",
    "KeyFileError",
    "MemberList",
    "PassphraseNeeded",
    "Reconnected",
    "Reconnecting",
    "RemovedFromRoom",
    "Room",
    "RoomConversation",
    "ServerTooOld",
    "Step",
    "TooMuchUnsent",
    "Unanswered",
    "UnknownMessage",
    "UserJoined",
    "UserLeft",
    "connect",
    "generate_key",
    "key_file",
    "load_key",
    "load_or_create_key",
    "public_pem",
    "save_key",
]
