"""The actors of a chat: session, room, directory, gate and registrar; the outbox; the events. Pure anyio."""

from chat_actors.chat import events
from chat_actors.chat.bot import Bot
from chat_actors.chat.chat import Chat, SessionFactory, Storage, erase_removed_users, start_chat
from chat_actors.chat.command_method import Caller, Rate, Refused, Where, command
from chat_actors.chat.declaration import API_VERSION, Extension, InvalidDeclaration
from chat_actors.chat.directory import CountRooms, Directory, FlushRooms
from chat_actors.chat.endpoint import HttpRequest, HttpResponse, endpoint
from chat_actors.chat.extension import Enabled, Extensions
from chat_actors.chat.gate import Admit, CountSessions, Drain, Gate
from chat_actors.chat.journal_writer import Journaling
from chat_actors.chat.limits import Limits
from chat_actors.chat.outbox import Block, Closing, Outbox, QueueOutbox
from chat_actors.chat.removed_user import RemovedUser
from chat_actors.chat.room import RoomActor
from chat_actors.chat.room_handle import RoomHandle
from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.room_kinds import DuplicateRoomKind
from chat_actors.chat.room_messages import ROOMS
from chat_actors.chat.service import Scope, Service
from chat_actors.chat.services import serve_http
from chat_actors.chat.session import SessionActor
from chat_actors.chat.session_messages import Frame, Peer, SessionMessage, SessionRef
from chat_actors.chat.store import Store

__all__ = [
    "API_VERSION",
    "ROOMS",
    "Admit",
    "Block",
    "Bot",
    "Caller",
    "Chat",
    "Closing",
    "CountRooms",
    "CountSessions",
    "Directory",
    "Drain",
    "DuplicateRoomKind",
    "Enabled",
    "Extension",
    "Extensions",
    "FlushRooms",
    "Frame",
    "Gate",
    "HttpRequest",
    "HttpResponse",
    "InvalidDeclaration",
    "Journaling",
    "Limits",
    "Outbox",
    "Peer",
    "QueueOutbox",
    "Rate",
    "Refused",
    "RemovedUser",
    "RoomActor",
    "RoomHandle",
    "RoomKind",
    "Scope",
    "Service",
    "SessionActor",
    "SessionFactory",
    "SessionMessage",
    "SessionRef",
    "Storage",
    "Store",
    "Where",
    "command",
    "endpoint",
    "erase_removed_users",
    "events",
    "serve_http",
    "start_chat",
]
