"""Starts the actors of a chat, in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeAlias

import msgspec

from chat_actors.chat.directory import Directory, DirectoryMessage, RoomFactory
from chat_actors.chat.extension import Extensions
from chat_actors.chat.extension_calls import ExtensionCalls
from chat_actors.chat.gate import Gate, GateMessage, GateState
from chat_actors.chat.journal_writer import Journaling, JournalWriter, WriterState
from chat_actors.chat.limits import Limits
from chat_actors.chat.registrar import Registrar
from chat_actors.chat.removals import tell_extensions
from chat_actors.chat.room import RoomActor
from chat_actors.chat.room_queries import RoomQueries
from chat_actors.chat.services import Services, ServicesMessage, ServicesState
from chat_actors.chat.session import SessionActor
from chat_actors.chat.user_rates import UserRates
from chat_actors.chat.welcome import make_welcome
from chat_actors.kernel import ActorSystem, Ref
from chat_actors.storage import Accounts, Journal, MemoryStates, Removals, Retention, States


class Chat(msgspec.Struct, frozen=True):
    """The actors with which the server communicates: `gate` opens sessions, `directory` counts and flushes rooms."""

    gate: Ref[GateMessage]
    directory: Ref[DirectoryMessage]
    services: Ref[ServicesMessage] | None = None
    """The parent of the extensions' services, if there are any."""


SessionFactory: TypeAlias = type[SessionActor]


class Storage(msgspec.Struct, frozen=True):
    """The storage of a chat. Without a journal, messages are delivered but not stored."""

    accounts: Accounts
    journal: Journal | None = None
    retention: Retention = Retention()
    states: States = msgspec.field(default_factory=MemoryStates)
    removals: Removals | None = None
    """The removed users; None if `accounts` cannot remove any."""


async def erase_removed_users(storage: Storage, extensions: Extensions) -> None:
    """Let the extensions erase the data of removed users. Call it before the start. Logs failures, and raises none."""
    if storage.removals is not None:
        await tell_extensions(storage.removals, storage.states, extensions)


def start_chat(
    system: ActorSystem,
    *,
    storage: Storage,
    limits: Limits,
    now: Callable[[], datetime],
    random_bytes: Callable[[int], bytes],
    room: RoomFactory = RoomActor,
    session: SessionFactory = SessionActor,
    extensions: Extensions | None = None,
    version: str = "",
) -> Chat:
    """Start the actors of a chat in a running system. Call `erase_removed_users` before.

    `now` is the wall clock (aware); `random_bytes` must be unpredictable; `version` is the server's, for `welcome`. The
    system stops its top-level actors in reverse order: sessions, services of extensions, rooms, journal writer,
    registrar. The rooms' parent closes the extensions' states, the writer closes the journal, and the registrar closes
    the accounts.
    """
    attempts = Registrar.attempts(limits)
    registrar = system.spawn_named("registrar", Registrar, storage.accounts, attempts, storage.removals)
    journaling = None
    if storage.journal is not None:
        writer = system.spawn_named("journal", JournalWriter, storage.journal, WriterState(), storage.retention, now)
        journaling = Journaling(writer, storage.journal)
    extensions = extensions or Extensions()
    directory = system.spawn_named(
        "rooms",
        Directory,
        now,
        journaling,
        room,
        extensions.room_kinds,
        storage.states,
        storage.accounts,
        limits.longest_content,
    )
    services = None
    if extensions.services:
        services = system.spawn_named(
            "services", Services, ServicesState(), extensions.services, storage.states, storage.accounts, now
        )
    user_rates = UserRates(limits)
    make_session = partial(
        session,
        limits=limits,
        user_rates=user_rates,
        accounts=storage.accounts,
        registrar=registrar,
        journal=storage.journal,
        queries=RoomQueries(storage.journal, extensions.room_kinds, storage.states),
        vocabulary=extensions.vocabulary,
        extension_calls=ExtensionCalls(extensions),
        now=now,
        random_bytes=random_bytes,
        welcome=make_welcome(version, extensions.names, limits),
    )
    gate = system.spawn_named("sessions", Gate, GateState(user_rates), limits, make_session)
    return Chat(gate, directory, services)
