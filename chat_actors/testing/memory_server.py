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

import functools
import itertools
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

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
    Storage,
    serve_http,
    start_chat,
)
from chat_actors.kernel import ActorSystem
from chat_actors.kernel.testing import RunningSystem, settle, virtual_asyncio
from chat_actors.storage import MemoryAccounts, MemoryJournal, MemoryStates
from chat_actors.testing.memory_client import MemoryClient

__all__ = ["MemoryServer", "on_virtual_time"]

Params = ParamSpec("Params")
Event = TypeVar("Event", bound=msgspec.Struct)

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


def on_virtual_time(test: Callable[Params, Awaitable[None]]) -> Callable[Params, None]:
    """Turn an async test into a plain one that runs on its own event loop with a virtual clock.

    Args:
        test: The async function. Its parameters, such as pytest fixtures, are kept.

    Returns:
        A plain function for the test runner. No pytest plugin is needed.
    """

    @functools.wraps(test)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> None:
        backend, options = virtual_asyncio()
        anyio.run(functools.partial(test, *args, **kwargs), backend=backend, backend_options=options)

    return run


class _Accounts(MemoryAccounts):
    async def aclose(self) -> None:
        """Keep the data for the next run of the server."""


class _Journal(MemoryJournal):
    async def aclose(self) -> None:
        """Keep the data for the next run of the server."""


class _States(MemoryStates):
    async def aclose(self) -> None:
        """Keep the data for the next run of the server."""


class MemoryServer:
    """A server in memory, used as `async with MemoryServer(extension, ...) as server:`.

    Attributes:
        system: The actor system of the current run. `system.events` is the event bus.
    """

    system: ActorSystem

    def __init__(
        self,
        *extensions: Extension,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits = NO_LIMITS,
        journal: bool = True,
    ) -> None:
        """Check the extensions and their settings; the server starts when the block is entered.

        Args:
            extensions: The enabled extensions, in order.
            settings: Name of an extension → its section `[extensions.NAME]`.
            limits: The limits of the server. By default, counts and rates are unlimited.
            journal: Whether the server stores messages.

        Raises:
            msgspec.ValidationError: The settings of an extension are invalid.
            InvalidDeclaration: An extension is declared wrongly; the text names the class and what to write.
            DuplicateTag: Two extensions have a command or a message of the same type.
            DuplicateRoomKind: Two room kinds have the same `chosen_as`.
        """
        sections = settings or {}
        self._extensions = Extensions(
            [Enabled(one, msgspec.convert(dict(sections.get(one.name, {})), one.settings)) for one in extensions]
        )
        self._limits = limits
        self._storage = Storage(_Accounts(), _Journal() if journal else None, states=_States())
        self._random = itertools.count()
        self._running: RunningSystem
        self._chat: Chat

    async def __aenter__(self) -> MemoryServer:
        await self._start()
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        # The error is not passed on: the system's task group would wrap a failed assertion into an exception group.
        return await self._running.__aexit__(None, None, None)

    async def _start(self) -> None:
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
        await self.settle()

    async def restart(self) -> None:
        """Stop the server and start it again with the stored data. All clients are disconnected."""
        await self._running.__aexit__(None, None, None)
        await self._start()

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
        """Wait until all actors are idle and all mailboxes are empty. Timers that are not due do not count."""
        await settle(self.system)

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
