"""The actors of a chat: session, room, directory, gate and registrar; the outbox; the events. Pure anyio."""

from chat_actors.chat import events
from chat_actors.chat.chat import Chat, SessionFactory, Storage, start_chat
from chat_actors.chat.directory import CountRooms, Directory, LetRoomsCatchUp
from chat_actors.chat.gate import Admit, CountSessions, Drain, Gate
from chat_actors.chat.limits import Limits
from chat_actors.chat.outbox import Block, Closing, Outbox, QueueOutbox
from chat_actors.chat.room import RoomActor
from chat_actors.chat.room_messages import ROOMS
from chat_actors.chat.room_state import Journaling, RoomState
from chat_actors.chat.session import SessionActor
from chat_actors.chat.session_messages import Frame, Peer, SessionMessage, SessionRef

__all__ = [
    "ROOMS",
    "Admit",
    "Block",
    "Chat",
    "Closing",
    "CountRooms",
    "CountSessions",
    "Directory",
    "Drain",
    "Frame",
    "Gate",
    "Journaling",
    "LetRoomsCatchUp",
    "Limits",
    "Outbox",
    "Peer",
    "QueueOutbox",
    "RoomActor",
    "RoomState",
    "SessionActor",
    "SessionFactory",
    "SessionMessage",
    "SessionRef",
    "Storage",
    "events",
    "start_chat",
]
