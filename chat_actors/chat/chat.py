"""A whole chat: its actors, started in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from chat_actors.chat.directory import Directory, DirectoryMessage, RoomFactory
from chat_actors.chat.gate import Gate, GateMessage, GateState, SessionFactory
from chat_actors.chat.limits import Limits
from chat_actors.chat.registrar import Registrar
from chat_actors.chat.room import RoomActor
from chat_actors.chat.session import SessionActor
from chat_actors.kernel import ActorSystem, Ref
from chat_actors.storage import Accounts


class Chat(msgspec.Struct, frozen=True):
    """The way in: `gate` opens sessions; `directory` knows how many rooms there are."""

    gate: Ref[GateMessage]
    directory: Ref[DirectoryMessage]


def start_chat(
    system: ActorSystem,
    *,
    accounts: Accounts,
    limits: Limits,
    now: Callable[[], datetime],
    random_bytes: Callable[[int], bytes],
    room: RoomFactory = RoomActor,
    session: SessionFactory = SessionActor,
) -> Chat:
    """Start the actors of a chat in a running system.

    `now` is the wall clock (aware), `random_bytes` unpredictable. The system stops its top actors the youngest first:
    so the sessions end before the rooms, and the rooms before the accounts, which are closed with the registrar.
    """
    registrar = system.spawn_named("registrar", Registrar, accounts, Registrar.attempts(limits))
    directory = system.spawn_named("rooms", Directory, now, room)
    gate = system.spawn_named("sessions", Gate, GateState(), limits, registrar, random_bytes, session)
    return Chat(gate, directory)
