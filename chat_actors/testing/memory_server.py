"""For tests of extensions: a whole server in memory with clients in memory, on a clock that jumps.

::

    from chat_actors.testing import MemoryServer, on_virtual_time


    @on_virtual_time
    async def test_a_die_is_rolled():
        async with MemoryServer(extension) as server:
            alice = await server.connect("alice", room="den")
            await alice.send("roll", sides=6)
            assert 1 <= alice.expect("rolled")["result"] <= 6

The actors, the protocol and the login are the real ones; there are no sockets and no files. Time passes when nobody has
anything left to do, and then at once: a test of an hour takes milliseconds. (It would also jump over what a thread
needs: an extension that works in threads is tested against a real server.)
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import anyio
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from chat_actors.chat import (
    Admit,
    Chat,
    Closing,
    Enabled,
    Extension,
    Extensions,
    Frame,
    HttpRequest,
    HttpResponse,
    Limits,
    Peer,
    QueueOutbox,
    Storage,
    serve_http,
    start_chat,
)
from chat_actors.client import public_pem
from chat_actors.identity import sign
from chat_actors.kernel import ActorSystem, Hosted
from chat_actors.kernel.testing import RunningSystem, settle, virtual_asyncio
from chat_actors.storage import MemoryAccounts, MemoryJournal, MemoryStates

__all__ = ["MemoryClient", "MemoryServer", "on_virtual_time"]

Params = ParamSpec("Params")
Event = TypeVar("Event", bound=msgspec.Struct)

START = datetime(2026, 1, 1, tzinfo=UTC)
"""What the server's clock shows at the beginning of a test."""

NO_LIMITS = Limits(
    registrations=0,
    messages_per_second=0,
    rooms_per_minute=0,
    connections=0,
    connections_per_ip=0,
    unauthenticated_seconds=0,
)


def on_virtual_time(test: Callable[Params, Awaitable[None]]) -> Callable[Params, None]:
    """Make a test function of an async one: it runs on an event loop of its own, on virtual time."""

    @functools.wraps(test)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> None:
        backend, options = virtual_asyncio()
        anyio.run(functools.partial(test, *args, **kwargs), backend=backend, backend_options=options)

    return run


@functools.cache
def _key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)  # one for all users: each costs 50 ms


class _Accounts(MemoryAccounts):
    async def aclose(self) -> None:
        """Stays open over restarts."""


class _Journal(MemoryJournal):
    async def aclose(self) -> None:
        """Stays open over restarts."""


class _States(MemoryStates):
    async def aclose(self) -> None:
        """Stays open over restarts."""


class MemoryServer:
    """`async with MemoryServer(extension, ...) as server:` runs it for the length of the block."""

    def __init__(
        self,
        *extensions: Extension,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits = NO_LIMITS,
        journal: bool = True,
    ) -> None:
        """`settings`: what would stand in each `[extensions.NAME]`. Raises what a server would not start with."""
        sections = settings or {}
        self._extensions = Extensions(
            [Enabled(one, msgspec.convert(dict(sections.get(one.name, {})), one.settings)) for one in extensions]
        )
        self._limits = limits
        self._storage = Storage(_Accounts(), _Journal() if journal else None, states=_States())
        self._random = itertools.count()
        self._running: RunningSystem
        self._chat: Chat
        self.system: ActorSystem
        """The actor system, whose `events` is the event bus."""

    async def __aenter__(self) -> MemoryServer:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        # Not given to the task group of the system, which would wrap a failed assertion into a group of errors.
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
        )
        await self.settle()

    async def restart(self) -> None:
        """Stop the server and start it again with what it has kept; the clients are disconnected."""
        await self._running.__aexit__(None, None, None)
        await self._start()

    async def connect(self, user_id: str = "", *, room: str = "") -> MemoryClient:
        """A new connection: of this user, logged in, and in this room, if they are given."""
        client = MemoryClient(self, self._limits.backlog_bytes)
        peer = Peer("192.0.2.1", client.outbox, client.resume)
        session = await self._chat.gate.ask(Admit(peer), timeout=5.0)
        if isinstance(session, Closing):
            raise AssertionError(f"the server let nobody in: {session.code} {session.reason}")
        client.begin(session)
        self.system.start_task(session.run)
        if user_id:
            await client.log_in(user_id)
        if room:
            await client.join(room)
            client.hear()
        return client

    async def settle(self) -> None:
        """Wait until nothing is left to do now."""
        await settle(self.system)

    async def advance(self, seconds: float) -> None:
        """Let this time pass."""
        await anyio.sleep(seconds)
        await self.settle()

    def listen(self, kind: type[Event]) -> list[Event]:
        """The events of this class that are published from now on: a list that grows."""
        published: list[Event] = []
        self.system.events.listen(kind, published.append)
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
        """A request to `/extensions` + `path`."""
        kind = self._extensions.endpoints.get((method, path))
        if kind is None or self._chat.services is None:
            return HttpResponse(404)
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        request = HttpRequest(method, path, query or {}, lowered, body, "192.0.2.1")
        response = await serve_http(self._chat.services, kind, request)
        await self.settle()
        return response


class MemoryClient:
    """A connection. What it is sent waits until `hear` or `expect` takes it, each message as a plain object."""

    def __init__(self, server: MemoryServer, backlog_bytes: int) -> None:
        self.outbox = QueueOutbox(backlog_bytes)
        self.user_id = ""
        self._server = server
        self._heard: deque[dict[str, Any]] = deque()
        self._unread: deque[Frame] = deque()
        self._session: Hosted[Any]

    def begin(self, session: Hosted[Any]) -> None:
        """For the server: it has been let in."""
        self._session = session

    def resume(self) -> None:
        """For the server: the session takes more."""
        ref = self._session.ref
        while self._unread and (ref.deliver_nowait(self._unread[0]) or ref.is_stopped):
            self._unread.popleft()

    async def send(self, type: str, **fields: Any) -> None:  # noqa: A002 - as it is called on the wire
        """Send a command, its fields as on the wire, and wait until all that comes of it has come."""
        self.send_nowait(type, **fields)
        await self._server.settle()

    def send_nowait(self, type: str, **fields: Any) -> None:  # noqa: A002 - as it is called on the wire
        """Send a command, and wait for nothing."""
        self._unread.append(Frame(msgspec.json.encode({"type": type, **fields}).decode()))
        self.resume()

    async def log_in(self, user_id: str) -> None:
        """Register the user, unless there is one of this name, and log in."""
        await self.send("register", userId=user_id, publicKey=public_pem(_key()))
        await self.send("get_challenge")
        challenge = self.expect("challenge")["challenge"]
        await self.send("authenticate", userId=user_id, signature=sign(_key(), challenge))
        self.expect("authenticated")
        self.user_id = user_id
        self.hear()

    async def join(self, room: str) -> None:
        """Ask to enter a room."""
        await self.send("join", userId=self.user_id, roomId=room)

    async def say(self, content: str) -> None:
        """Say something in the room."""
        await self.send("chat_message", content=content)

    async def disconnect(self) -> None:
        """End the connection."""
        self._session.ref.stop()
        await self._server.settle()

    @property
    def closing(self) -> Closing | None:
        """How the server has closed the connection, if it has."""
        return self.outbox.closing

    def hear(self) -> list[dict[str, Any]]:
        """All that has come since, oldest first."""
        self._take()
        heard = list(self._heard)
        self._heard.clear()
        return heard

    def expect(self, type: str) -> dict[str, Any]:  # noqa: A002 - as it is called on the wire
        """The next message of this type; what came before it is dropped. Raises `AssertionError` if there is none."""
        self._take()
        passed = []
        while self._heard:
            message = self._heard.popleft()
            if message["type"] == type:
                return message
            passed.append(message)
        raise AssertionError(f"no {type!r} has come, only {passed}")

    def _take(self) -> None:
        self._heard.extend(msgspec.json.decode(text) for text in self.outbox.take_all())
