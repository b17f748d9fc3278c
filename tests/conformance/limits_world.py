"""The subjects of limits: connections, users, addresses, rooms and servers. In memory, on virtual time."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from enum import Enum

import anyio
import msgspec

from chat_actors.chat import Storage
from chat_actors.client import public_pem
from chat_actors.identity import parse_public_key, sign
from chat_actors.storage import Retention
from chat_actors.testing import MemoryServer
from chat_actors.testing.memory_server import NO_LIMITS
from tests.chat.rig import KEY


class Scope(Enum):
    """The subjects for which a limit is counted separately."""

    MESSAGE = "one message, or one answer"
    CONNECTION = "one connection, whichever users log in on it"
    USER = "one user, over all connections"
    ADDRESS = "one IPv4 address or one IPv6 /64, over all connections and users"
    ROOM = "one room, over all members"
    SERVER = "one server"


@dataclass(frozen=True)
class Subject:
    """A client, by all that a limit may be counted for. An empty user or room: not logged in, in no room."""

    server: int = 1
    address: str = "192.0.2.1"
    connection: int = 1
    user: str = "ann"
    room: str = "red"


ANN = Subject()

APART = {
    Scope.MESSAGE: (ANN, replace(ANN, connection=2)),
    Scope.CONNECTION: (ANN, replace(ANN, connection=2)),
    Scope.USER: (ANN, replace(ANN, connection=2, user="ben")),
    Scope.ADDRESS: (ANN, replace(ANN, connection=2, address="192.0.2.2")),
    Scope.ROOM: (ANN, replace(ANN, connection=2, room="blue")),
    Scope.SERVER: (ANN, replace(ANN, server=2)),
}
"""Two subjects for each scope. They differ in it and, as far as possible, only in it: they must not share the limit."""

ALIKE = {
    Scope.MESSAGE: (ANN, ANN),
    Scope.CONNECTION: (ANN, replace(ANN, user="ben", room="blue")),
    Scope.USER: (ANN, replace(ANN, connection=2, address="192.0.2.2")),
    Scope.ADDRESS: (
        replace(ANN, address="2001:db8::1"),
        replace(ANN, address="2001:db8::2", connection=2, user="ben", room="blue"),
    ),
    Scope.ROOM: (ANN, replace(ANN, connection=2, address="192.0.2.2", user="ben")),
    Scope.SERVER: (ANN, replace(ANN, connection=2, address="192.0.2.2", user="ben", room="blue")),
}
"""Two subjects for each scope. They agree in it and, as far as possible, only in it: they must share the limit."""


class World:
    """Servers with the limits of one row, and the connections to them."""

    def __init__(self, row):
        self._row = row
        self._servers = {}
        self._clients = {}
        self._rooms = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self._stack.__aexit__(None, None, None)

    async def server(self, number=1):
        """The server of this number, prepared by the row."""
        if number not in self._servers:
            row = self._row
            limits = msgspec.structs.replace(NO_LIMITS, **row.limits)
            server = MemoryServer(*row.extensions, limits=limits, settings=row.settings)
            storage = server._storage
            retention = Retention(**row.retention)
            server._storage = Storage(storage.accounts, storage.journal, retention, storage.states)
            self._servers[number] = await self._stack.enter_async_context(server)
            await self.register(server, "ann", "ben", "owen")
            if row.prepare is not None:
                await row.prepare(self, number)
        return self._servers[number]

    async def register(self, server, *user_ids):
        """Register users directly in the storage, which no limit counts."""
        for user_id in user_ids:
            await server._storage.accounts.register(user_id, parse_public_key(public_pem(KEY)).spki)

    async def client_of(self, subject):
        """Return the subject's client. Connects, logs in and joins the room, unless that is done already."""
        key = (subject.server, subject.connection)
        server = await self.server(subject.server)
        if key not in self._clients:
            self._clients[key] = await server.connect(address=subject.address)
        client = self._clients[key]
        if subject.user and client.user_id != subject.user:
            await self.log_in(client, subject.user)
            self._rooms.pop(key, None)
        if subject.room and self._rooms.get(key) != subject.room:
            await client.join(subject.room)
            self._rooms[key] = subject.room
        return client

    async def log_in(self, client, user_id):
        """Log in with two frames, without taking messages out of the client's outbox."""
        await client.send("get_challenge")
        challenge = msgspec.json.decode(client.outbox._blocks[-1].texts[-1])["challenge"]
        await client.send("authenticate", userId=user_id, signature=sign(KEY, challenge))
        client.user_id = user_id

    async def advance(self, seconds):
        await anyio.sleep(seconds)
        for server in self._servers.values():
            await server.settle()


def outcome(client):
    """The close code of the connection, or the code of the last error that was received, or None."""
    if client.closing is not None:
        return int(client.closing.code)
    codes = [message["code"] for message in client.hear() if message["type"] == "error"]
    return codes[-1] if codes else None
