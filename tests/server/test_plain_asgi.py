"""The app on an ASGI server without our transport, here Quart's test client."""

import asyncio
import json
import logging

import pytest
from quart.testing.connections import WebsocketDisconnectError

from chat_actors.chat import CountSessions, Limits, Storage
from chat_actors.client import generate_key, public_pem
from chat_actors.identity import sign
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts
from tests.patience import PATIENCE
from tests.wire.live_server import fail_test

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def key():
    return generate_key(2048)


@pytest.fixture
def limits():
    return Limits(registrations=0, messages_per_second=0, backlog_bytes=50_000, frame_bytes=20_000)


@pytest.fixture
async def app(limits):
    app = create_app(Settings(limits=limits), on_failure=fail_test, storage=Storage(MemoryAccounts()))
    async with app.test_app():
        yield app


class Client:
    """A WebSocket of Quart's test client."""

    def __init__(self, socket):
        self.socket = socket

    async def send(self, **command):
        await self.socket.send(json.dumps(command))

    async def receive(self):
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.socket.receive())

    async def ask(self, **command):
        await self.send(**command)
        return await self.receive()

    async def log_in(self, user_id, key, room):
        await self.ask(type="register", userId=user_id, publicKey=public_pem(key))
        challenge = (await self.ask(type="get_challenge"))["challenge"]
        answer = await self.ask(type="authenticate", userId=user_id, signature=sign(key, challenge))
        assert answer["type"] == "authenticated"
        assert (await self.ask(type="join", userId=user_id, roomId=room))["type"] == "joined"
        return self

    async def receive_close(self):
        while True:
            try:
                await self.receive()
            except WebsocketDisconnectError as closed:
                return closed.args[0]


def connect(app):
    return app.test_client().websocket("/ws")


async def sessions(app):
    return await app.extensions["chat_actors"].chat.gate.ask(CountSessions(), timeout=PATIENCE)


async def test_users_log_in_chat_and_leave(app, key):
    async with connect(app) as a:
        alice = await Client(a).log_in("alice", key, "red")
        async with connect(app) as b:
            bob = await Client(b).log_in("bob", key, "red")
            assert (await alice.receive())["type"] == "user_joined"
            for n in range(20):
                await (alice, bob)[n % 2].send(type="chat_message", content=str(n))
                assert [(await person.receive())["content"] for person in (alice, bob)] == [str(n)] * 2
            assert await sessions(app) == 2
        assert (await alice.receive())["type"] == "user_left"
    assert await sessions(app) == 0


async def test_pipelined_commands_are_handled_before_the_end(app, key):
    async with connect(app) as a, connect(app) as b:
        alice = await Client(a).log_in("alice", key, "red")
        bob = await Client(b).log_in("bob", key, "blue")
        await bob.send(type="switch_room", roomId="red")
        for n in range(100):
            await bob.send(type="chat_message", content=str(n))
        await b.disconnect()
        heard = [await alice.receive() for _ in range(102)]
        assert heard[0]["type"] == "user_joined"
        assert [message["content"] for message in heard[1:-1]] == [str(n) for n in range(100)]
        assert heard[-1]["type"] == "user_left"


@pytest.mark.parametrize(("sent", "code"), [(b"{}", 1003), ("x" * 20_001, 1009)])
async def test_binary_and_oversized_messages_close(app, sent, code):
    async with connect(app) as socket:
        await socket.send(sent)
        assert await Client(socket).receive_close() == code
    assert await sessions(app) == 0


async def test_stalled_client_is_evicted_others_miss_nothing(app, key):
    async with connect(app) as a, connect(app) as s:
        alice = await Client(a).log_in("alice", key, "red")
        await Client(s).log_in("slow", key, "red")
        assert (await alice.receive())["type"] == "user_joined"
        received, s._receive_queue.put = s._receive_queue.put, lambda item: asyncio.sleep(60)
        for n in range(20):
            assert int((await alice.ask(type="chat_message", content=f"{n:>4000}"))["content"]) == n
        s._receive_queue.put = received
        assert (await alice.receive())["userId"] == "slow"
        assert await sessions(app) == 1
        assert await Client(s).receive_close() == 4008


async def test_stop_closes_clients_with_1012(app, key):
    async with connect(app) as socket:
        client = await Client(socket).log_in("alice", key, "red")
        await app.extensions["chat_actors"].stop(within=5)
        assert await client.receive_close() == 1012


async def test_killed_session_closes_its_connection(app, key, caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")
    async with connect(app) as socket:
        client = await Client(socket).log_in("alice", key, "red")
        runtime = app.extensions["chat_actors"]
        (cell,) = runtime.chat.gate._cell.family.with_ending()
        cell.cancel()
        assert await client.receive_close() == 1012


async def test_session_stopped_before_accept_closes(app):
    socket = connect(app)
    runtime = app.extensions["chat_actors"]
    accept = socket._asgi_send

    async def stop_then_accept(message):
        if message["type"] == "websocket.accept":
            (cell,) = runtime.chat.gate._cell.family.with_ending()
            cell.ref.stop()
        await accept(message)

    socket._asgi_send = stop_then_accept
    async with socket:
        assert await Client(socket).receive_close() == 1012


async def test_send_error_after_disconnect_is_not_logged(app, key, caplog):
    async with connect(app) as a, connect(app) as b:
        alice = await Client(a).log_in("alice", key, "red")
        await Client(b).log_in("bob", key, "red")
        assert (await alice.receive())["type"] == "user_joined"

        async def gone(item):
            await b.disconnect()
            raise ConnectionResetError("as ASGI servers do it from version 2.4 of the specification on")

        b._receive_queue.put = gone
        await alice.send(type="chat_message", content="are you there?")
        assert (await alice.receive())["content"] == "are you there?"
        assert (await alice.receive())["type"] == "user_left"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
