"""Runs the chat behind an app: its actor system, in a task of its own."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

import anyio

from chat_actors import __version__
from chat_actors.chat import (
    Chat,
    Drain,
    FlushRooms,
    HttpRequest,
    HttpResponse,
    RoomActor,
    SessionActor,
    SessionFactory,
    Storage,
    erase_removed_users,
    serve_http,
    start_chat,
)
from chat_actors.chat.directory import RoomFactory
from chat_actors.kernel import ActorStopped, ActorSystem, AskFailed, AskTimeout
from chat_actors.kernel.loop_watch import LoopWatch
from chat_actors.protocol import Vocabulary
from chat_actors.server.extension_loading import combine, load_extensions
from chat_actors.server.settings import DataSettings, Settings
from chat_actors.server.transport import Control, anyio_context
from chat_actors.storage import (
    Journal,
    MemoryJournal,
    Retention,
    SqliteAccounts,
    SqliteFile,
    SqliteJournal,
    SqliteStates,
)

logger = logging.getLogger(__name__)

DATA_FILE = "chat.db"

FLUSH_WITHIN = 1.0
"""Seconds in which rooms deliver their queued messages, before their members are closed."""


def data_file(data: DataSettings) -> Path:
    """The SQLite file."""
    return Path(data.dir) / DATA_FILE


async def open_storage(settings: Settings) -> Storage:
    """Open the storage of the `[data]` settings. Raises `StorageError`."""
    data = settings.data
    file = await SqliteFile.open(data_file(data), durability=data.durability, exclusive=True)
    accounts, retention = SqliteAccounts(file), Retention(data.keep_messages, data.keep_days)
    return Storage(accounts, _journal(data, file), retention, SqliteStates(file), accounts)


def _journal(data: DataSettings, file: SqliteFile) -> Journal | None:
    match data.journal:
        case "sqlite":
            return SqliteJournal(file)
        case "memory":
            # In microseconds: above the numbers of an earlier run, unless that stored a million messages a second.
            return MemoryJournal(above=int(datetime.now(UTC).timestamp() * 1_000_000))
        case "off":
            return None


class Runtime:
    """Owns the actor system. If the system fails, `on_failure` is called once, to end the server."""

    def __init__(
        self,
        settings: Settings,
        *,
        on_failure: Callable[[BaseException], None],
        storage: Storage | None = None,
        room: RoomFactory = RoomActor,
        session: SessionFactory = SessionActor,
    ) -> None:
        """Raises `ExtensionError`."""
        self.settings = settings
        self._extensions = combine(load_extensions(settings.server.extensions, settings.extensions))
        self.system = ActorSystem()
        self._chat: Chat | None = None
        self._storage = storage
        self._room = room
        self._session = session
        self._on_failure = on_failure
        self._task: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None

    @property
    def chat(self) -> Chat:
        """The references to the chat's actors. Raises `RuntimeError` before the start."""
        if self._chat is None:
            raise RuntimeError("the chat has not been started: the app must be served with its lifespan events")
        return self._chat

    @property
    def vocabulary(self) -> Vocabulary:
        """The commands and messages of this server."""
        return self._extensions.vocabulary

    @property
    def endpoints(self) -> Collection[tuple[str, str]]:
        """HTTP methods and paths of the extensions' endpoints."""
        return self._extensions.endpoints

    async def serve_http(self, request: HttpRequest) -> HttpResponse:
        """Have an extension answer an HTTP request."""
        if self.chat.services is None:
            raise AssertionError("without services there are no endpoints to be routed")
        return await serve_http(self.chat.services, self._extensions.endpoints[request.method, request.path], request)

    async def start(self) -> None:
        """Open the storage and start the actors. Raises `StorageError`."""
        if self._storage is None:
            self._storage = await open_storage(self.settings)
        await erase_removed_users(self._storage, self._extensions)
        started = anyio.Event()
        running = self._run(self._storage, started)
        self._context = anyio_context()
        self._task = asyncio.create_task(running, name="actor system", context=self._context)
        await started.wait()

    async def _run(self, storage: Storage, started: anyio.Event) -> None:
        try:
            with LoopWatch(asyncio.get_running_loop().call_soon_threadsafe):
                await self._run_system(storage, started)
        except Exception as error:
            logger.critical("the actor system has failed, so the server stops", exc_info=error)
            self._on_failure(error)
        finally:
            started.set()

    async def _run_system(self, storage: Storage, started: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.system.run)
            self._chat = start_chat(
                self.system,
                storage=storage,
                limits=self.settings.limits,
                now=lambda: datetime.now(UTC),
                random_bytes=os.urandom,
                room=self._room,
                session=self._session,
                extensions=self._extensions,
                version=__version__,
            )
            started.set()

    def drain_with(self, control: Control) -> None:
        """Close all clients when the server of this connection begins its shutdown.

        That is when it has stopped listening. Quart's shutdown hooks come too late: after the connections were cut.
        """
        if self._draining is None:
            wait, seconds = control.wait_draining, control.drain_seconds
            # In its own context: the caller's would keep the connection's request alive.
            draining = self._drain_after(wait, seconds)
            self._draining = asyncio.create_task(draining, name="drain", context=self._context)

    async def _drain_after(self, wait_draining: Callable[[], Awaitable[None]], seconds: float) -> None:
        await wait_draining()
        await self._drain(seconds)

    async def _drain(self, within: float) -> None:
        """Deliver the queued messages of all rooms, then close all clients."""
        flush = FlushRooms(min(FLUSH_WITHIN, within / 2))
        try:
            await self.chat.directory.ask(flush, timeout=within)
        except (ActorStopped, AskFailed, AskTimeout) as error:
            logger.warning("some clients may not have received the last messages: %s", error)
        try:
            await self.chat.gate.ask(Drain(self.settings.server.drain_seconds), timeout=within)
        except (ActorStopped, AskFailed, AskTimeout) as error:
            logger.warning("some clients may not have been closed with a time to reconnect: %s", error)

    async def stop(self, *, within: float) -> None:
        """End sessions, rooms and storage, in this order. Idempotent."""
        if self._draining is not None:
            self._draining.cancel()
        if self._task is not None:
            if self._chat is not None and not self._task.done():
                await self._drain(within)
            await self.system.stop(within=within)
            await self._task
