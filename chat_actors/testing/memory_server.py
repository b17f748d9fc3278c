"""A server in memory with clients in memory, on a virtual clock: for tests of extensions.

::

    from chat_actors.testing import MemoryServer, on_virtual_time


    @on_virtual_time
    async def test_roll_answers_with_a_number():
        async with MemoryServer(extension) as server:
            alice = await server.connect("alice", room="den")
            await alice.send("roll", sides=6)
            assert 1 <= alice.expect("rolled")["result"] <= 6

Actors, protocol and login are real; there are no sockets and no files. The clock stands still while a task can run and
then jumps to the next timer, so a test of an hour takes milliseconds. The clock does not wait for threads: test an
extension that uses threads against a real server.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, TypeAlias, TypeVar

import anyio
import msgspec

from chat_actors import __version__
from chat_actors.chat import (
    Admit,
    Chat,
    Closing,
    Enabled,
    Extension,
    Extensions,
    HttpRequest,
    HttpResponse,
    Limits,
    Peer,
    Store,
    erase_removed_users,
    serve_http,
    start_chat,
)
from chat_actors.kernel import Actor, ActorSystem
from chat_actors.kernel.testing import SETTLE_STEPS, RunningSystem, settle
from chat_actors.testing.memory_client import MemoryClient, public_key
from chat_actors.testing.memory_storage import MemoryStorage, Messages, Part, StoredStates

__all__ = ["MemoryServer"]

Params = ParamSpec("Params")
Event = TypeVar("Event", bound=msgspec.Struct)

Settings: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Name of an extension → its section."""

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The server's wall clock at the beginning of a test."""

ADDRESS = "192.0.2.1"
"""The clients' default address (RFC 5737)."""

NO_LIMITS = Limits(
    registrations=0,
    messages_per_second=0,
    rooms_per_minute=0,
    queries_per_second=0,
    connections=0,
    connections_per_ip=0,
    unauthenticated_seconds=0,
)


def _enable(extensions: Sequence[Extension], settings: Settings) -> Extensions:
    return Extensions(
        [Enabled(one, msgspec.convert(dict(settings.get(one.name, {})), one.settings)) for one in extensions]
    )


class MemoryServer:
    """A server in memory, used as `async with MemoryServer(extension, ...) as server:`.

    Attributes:
        system: The actor system of the current run. `system.events` is the event bus.
    """

    system: ActorSystem

    def __init__(
        self,
        *extensions: Extension,
        settings: Settings | None = None,
        limits: Limits = NO_LIMITS,
        journal: bool = True,
        users: Collection[str] = (),
        messages: Messages | None = None,
        state: StoredStates | None = None,
        settle_steps: int = SETTLE_STEPS,
        background: Collection[type[Actor[Any]]] = (),
    ) -> None:
        """Check the extensions and their settings; the server starts when the block is entered.

        Args:
            extensions: The enabled extensions, in order.
            settings: Name of an extension → its section `[extensions.NAME]`.
            limits: The limits of the server. By default, counts and rates are unlimited.
            journal: Whether the server stores messages.
            users: Users who are registered already.
            messages: Messages that are stored already: room id → a list of (user id, content), oldest first.
            state: Stored state of extensions: `"EXTENSION.CLASS/KEY"` → its values by key. The key after the slash is
                the user id or room id; it is empty for a service with `Scope.SERVER`. CLASS is `kept_as`, if that is
                set.
            settle_steps: The steps after which `settle` gives up, each of 1 ms up to 1 s on the virtual clock.
            background: Services whose piped work never ends: `settle` does not wait for it.

        Raises:
            msgspec.ValidationError: The settings of an extension are invalid.
            InvalidDeclaration: An extension is declared wrongly; the text names the class and what to write.
            DuplicateTag: Two extensions have a command or a message of the same type.
            DuplicateRoomKind: Two room kinds have the same `chosen_as`.
        """
        self._settings = settings or {}
        self._enabled = extensions
        self._extensions = _enable(extensions, self._settings)
        self._limits = limits
        self._data = MemoryStorage(has_journal=journal)
        self._storage = self._data.storage
        self._given = (dict.fromkeys(users, public_key()), messages or {}, state or {})
        self._settle_steps = settle_steps
        self._background = tuple(background)
        self._random = itertools.count()
        self._running: RunningSystem | None = None
        self._chat: Chat

    async def __aenter__(self) -> MemoryServer:
        await self._data.fill(*self._given, START)
        await self._start()
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The error is not passed on: the system's task group would wrap a failed assertion into an exception group.
        await self._stop()

    async def _start(self) -> None:
        await erase_removed_users(self._storage, self._extensions)
        self._running = RunningSystem()
        self.system = await self._running.__aenter__()
        self._chat = start_chat(
            self.system,
            storage=self._storage,
            limits=self._limits,
            now=lambda: START + timedelta(seconds=anyio.current_time()),
            random_bytes=lambda size: bytes(next(self._random) % 256 for _ in range(size)),
            extensions=self._extensions,
            version=__version__,
        )
        try:
            await self.settle()
        except BaseException:
            await self.kill()
            raise

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.__aexit__(None, None, None)

    async def restart(self, *extensions: Extension, settings: Settings | None = None) -> None:
        """Stop the server and start it again with the stored data. All clients are disconnected.

        Args:
            extensions: Run these from now on, for example a newer version of one. By default, the same as before.
            settings: Their sections, as for the server. By default, the same as before.

        Raises:
            Exception: As for the server. It runs on then.
        """
        self._settings = self._settings if settings is None else settings
        if extensions or settings is not None:
            self._enabled = extensions or self._enabled
            self._extensions = _enable(self._enabled, self._settings)
        await self._stop()
        await self._start()

    async def kill(self) -> None:
        """End the server at once, as `kill -9` does: no `on_stop` runs, and what is not stored is lost.

        Call `restart` next. Until then, only `store` and `failing` work.
        """
        running, self._running = self._running, None
        if running is not None:
            await running.kill()

    async def remove_user(self, user_id: str, *, release: bool = False) -> None:
        """Remove a user as an operator does: stop the server, remove the account, and start the server again.

        The start calls the `on_user_removed` hooks of the extensions.

        Args:
            user_id: The user.
            release: Whether the id can be registered again once all extensions have erased the user's data.

        Raises:
            AssertionError: There is no such user.
        """
        await self._stop()
        was_there = await self._data.remove_user(user_id, release=release)
        await self._start()
        if not was_there:
            raise AssertionError(f"there is no user {user_id!r}")

    def failing(self, *parts: Part, writes_only: bool = False) -> AbstractContextManager[None]:
        """Let the storage fail for the length of a `with` block: its calls raise `StorageError`.

        Args:
            parts: `"accounts"`, `"journal"` or `"states"`; without any, all of them.
            writes_only: Whether reads succeed, as on a full disk.

        Raises:
            ValueError: A part has another name.
        """
        return self._data.failures.failing(parts, writes_only=writes_only)

    def store(self, space: str) -> Store:
        """Return a store of an extension, to look into it.

        Args:
            space: `"EXTENSION.CLASS/KEY"`, as in `state`.
        """
        return self._data.store(space)

    async def connect(self, user_id: str = "", *, room: str = "", address: str = ADDRESS) -> MemoryClient:
        """Open a connection.

        Args:
            user_id: The user to register, unless it exists, and to log in. Empty: no login.
            room: The room to join; its `joined` is discarded. Empty: none.
            address: The IP address of the client.

        Returns:
            The client, with no message received yet.

        Raises:
            AssertionError: The server refused the connection or the login.
        """
        client = MemoryClient(self.settle, self._limits.backlog_bytes)
        peer = Peer(address, client.outbox, client.resume)
        session = await self._chat.gate.ask(Admit(peer), timeout=5.0)
        if isinstance(session, Closing):
            raise AssertionError(f"the server refused the connection: {session.code} {session.reason}")
        client.begin(session)
        self.system.start_task(session.run)
        if user_id:
            await client.log_in(user_id)
        if room:
            await client.join(room)
            client.hear()
        return client

    async def settle(self) -> None:
        """Wait until all actors are idle and all mailboxes are empty. Timers that are not due do not count.

        Raises:
            AssertionError: Some actors are still busy after `settle_steps`. The text names each, and what it does.
        """
        await settle(self.system, steps=self._settle_steps, background=self._background)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass on the virtual clock, then `settle`."""
        await anyio.sleep(seconds)
        await self.settle()

    def listen(self, event_type: type[Event]) -> list[Event]:
        """Record the events of a type.

        Args:
            event_type: The class of the events, from `chat_actors.events` or of your own.

        Returns:
            A list to which each event is appended when it is published. Recording ends with the run of the server.
        """
        published: list[Event] = []
        self.system.events.listen(event_type, published.append)
        return published

    async def http(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send a request to an HTTP endpoint of an extension.

        Args:
            method: `GET`, `POST`, `PUT` or `DELETE`.
            path: The path below `/extensions`, with the extension's name: `/webhooks/say`.
            body: The body. Its size is not limited here.
            headers: The headers; upper and lower case do not matter.
            query: The parameters of the query string.

        Returns:
            The response; status 404 if there is no such endpoint.
        """
        service = self._extensions.endpoints.get((method, path))
        if service is None or self._chat.services is None:
            return HttpResponse(404)
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        request = HttpRequest(method, path, query or {}, lowered, body, ADDRESS)
        response = await serve_http(self._chat.services, service, request)
        await self.settle()
        return response
