import json

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from chat_actors.chat import Limits, Storage
from chat_actors.client import public_pem
from chat_actors.identity import sign
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import SqliteAccounts, SqliteFile, SqliteJournal
from tests.wire.http1 import open_http1
from tests.wire.http2 import open_http2
from tests.wire.live_server import LiveServer, fail_test

OPENERS = {"http1": open_http1, "http2": open_http2}


@pytest.fixture(scope="session")
def keys():
    """Two RSA keys, generated once because each takes about 50 ms."""
    return [generate_private_key(65537, 2048) for _ in range(2)]


class Client:
    """A client of part 1 of the protocol: JSON frames, nothing else."""

    def __init__(self, peer):
        self.peer = peer

    async def send(self, **message):
        await self.peer.send_text(json.dumps(message))

    async def receive(self):
        return json.loads(await self.peer.receive_text())

    async def ask(self, **message):
        await self.send(**message)
        return await self.receive()

    async def error(self, **message):
        answer = await self.ask(**message)
        assert answer["type"] == "error", answer
        return answer["message"]

    async def register(self, user_id, key):
        return await self.ask(type="register", userId=user_id, publicKey=public_pem(key))

    async def challenge(self):
        return (await self.ask(type="get_challenge"))["challenge"]

    async def authenticate(self, user_id, key):
        signature = sign(key, await self.challenge())
        return await self.ask(type="authenticate", userId=user_id, signature=signature)

    async def log_in(self, user_id, key, room=None):
        """Register unless the user exists, authenticate, and join the room if there is one."""
        await self.register(user_id, key)
        assert (await self.authenticate(user_id, key))["type"] == "authenticated"
        if room is not None:
            assert (await self.ask(type="join", userId=user_id, roomId=room))["type"] == "joined"
        return self

    async def receives_nothing(self):
        """Check that no message waits: the next one is the answer to the request sent here."""
        assert (await self.ask(type="get_challenge"))["type"] == "challenge"


class Chat:
    """A running server and its clients, over one of the two HTTP versions."""

    def __init__(self, protocol, server):
        self.protocol = protocol
        self.server = server
        self._peers = []

    async def client(self, path="/ws", headers=()):
        peer = await OPENERS[self.protocol](self.server.port, path, headers)
        self._peers.append(peer)
        assert peer.status == (101 if self.protocol == "http1" else 200)
        return Client(peer)

    async def aclose(self):
        for peer in self._peers:
            await peer.aclose()


@pytest.fixture(params=["http1", "http2"])
def protocol(request):
    return request.param


@pytest.fixture
def limits():
    return Limits(registrations=0)


@pytest.fixture
async def storage(tmp_path):
    file = await SqliteFile.open(tmp_path / "chat.db")
    return Storage(SqliteAccounts(file), SqliteJournal(file))


@pytest.fixture
async def chat(protocol, limits, storage):
    app = create_app(Settings(limits=limits), on_failure=fail_test, storage=storage)
    async with LiveServer(app) as server:
        chat = Chat(protocol, server)
        try:
            yield chat
        finally:
            await chat.aclose()
