"""The actors of a chat: session, room, directory, gate and registrar; the outbox; the events. Pure anyio."""

from chat_actors.chat import events
from chat_actors.chat.chat import Chat, SessionFactory, Storage, start_chat
from chat_actors.chat.directory import CountRooms, Directory, LetRoomsCatchUp
from chat_actors.chat.extension import Enabled, Extension, Extensions
from chat_actors.chat.gate import Admit, CountSessions, Drain, Gate
from chat_actors.chat.limits import Limits
from chat_actors.chat.outbox import Block, Closing, Outbox, QueueOutbox
from chat_actors.chat.room import RoomActor
from chat_actors.chat.room_kind import RoomKind, RoomView
from chat_actors.chat.room_messages import ROOMS
from chat_actors.chat.room_state import Journaling, RoomState
from chat_actors.chat.service import Caller, Rate, Refused, Scope, Service, Where, command
from chat_actors.chat.session import SessionActor
from chat_actors.chat.session_messages import Frame, Peer, SessionMessage, SessionRef

__all__ = [
    "ROOMS",
    "Admit",
    "Block",
    "Caller",
    "Chat",
    "Closing",
    "CountRooms",
    "CountSessions",
    "Directory",
    "Drain",
    "Enabled",
    "Extension",
    "Extensions",
    "Frame",
    "Gate",
    "Journaling",
    "LetRoomsCatchUp",
    "Limits",
    "Outbox",
    "Peer",
    "QueueOutbox",
    "Rate",
    "Refused",
    "RoomActor",
    "RoomKind",
    "RoomState",
    "RoomView",
    "Scope",
    "Service",
    "SessionActor",
    "SessionFactory",
    "SessionMessage",
    "SessionRef",
    "Storage",
    "Where",
    "command",
    "events",
    "start_chat",
]
