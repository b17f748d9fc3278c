"""A chat over real sockets, with a real server and a proxy in between that can be cut."""

import asyncio
import random

import pytest
from websockets.asyncio.server import serve

from chat_actors.chat import Storage
from chat_actors.client import (
    AccessRefused,
    ChatMessage,
    ConnectionLost,
    Identity,
    Reconnected,
    Reconnecting,
    ServerTooOld,
    connect,
    generate_key,
)
from chat_actors.server.app import create_app
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from tests.client.cable import Cable
from tests.client.live_chat import NO_LIMITS, connect_as, contents, events_until, is_message
from tests.patience import PATIENCE
from tests.wire.certificate import write_certificate
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def key():
    return generate_key(2048)


@pytest.fixture
async def server():
    storage = Storage(MemoryAccounts(), MemoryJournal(room_messages=100_000))
    settings = Settings(server=ServerSettings(extensions=("tests.client.test_room:DICE",)), limits=NO_LIMITS)
    async with LiveServer(create_app(settings, on_failure=fail_test, storage=storage)) as server:
        yield server


class CountingCable(Cable):
    """Counts the connections."""

    def __init__(self, port):
        super().__init__(port)
        self.connections = 0

    async def _carry(self, reader, writer):
        self.connections += 1
        await super()._carry(reader, writer)


class OldServer:
    """A server of part 1 of the protocol."""

    async def __aenter__(self):
        async def refuse(socket):
            async for _ in socket:
                await socket.send('{"type": "error", "message": "Unknown message type: hello"}')

        self._server = await serve(refuse, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        await self._server.wait_closed()


async def test_rooms_share_one_connection(server, key):
    async with CountingCable(server.port) as cable, connect_as(cable.port, "alice", key) as chat:
        rooms = [chat.room(f"room-{n}") for n in range(5)]
        await asyncio.gather(*(room.say(f"in {room.room_id}") for room in rooms))
        for room in rooms:
            assert contents((await room.history()).messages) == [f"in {room.room_id}"]
            assert (await room.members()).members == ["alice"]
            await room.aclose()
        async with chat.room("another") as room:
            await room.say("the connection stays open without rooms")
        assert cable.connections == 1


async def test_reconnect_is_reported_and_loses_nothing(server, key):
    async with (
        Cable(server.port) as cable,
        connect_as(cable.port, "alice", key) as alice,
        connect_as(server.port, "bob", key) as bob,
        alice.room("lobby") as hers,
        alice.room("attic") as her_other,
        bob.room("lobby") as his,
        bob.room("attic") as his_other,
    ):
        await his.say("before")
        await events_until(hers, is_message("before"))
        cable.is_broken = True
        cable.cut()
        for n in range(300):
            await (his, his_other)[n % 2].say(str(n))
        cable.is_broken = False
        for room, first in ((hers, 0), (her_other, 1)):
            received = await events_until(room, is_message(str(298 + first)))
            kinds = [type(event) for event in received if isinstance(event, Reconnecting | Reconnected)]
            assert kinds[0] is Reconnecting
            assert kinds[-1] is Reconnected
            assert kinds.count(Reconnected) == 1
            assert contents(received) == [str(n) for n in range(first, 300, 2)]


@pytest.mark.parametrize("seed", range(3))
async def test_random_cuts_lose_and_repeat_nothing(server, key, seed):
    chance = random.Random(seed)
    async with (
        Cable(server.port) as cable,
        connect_as(cable.port, "alice", key) as alice,
        connect_as(cable.port, "bob", key) as bob,
        alice.room("lobby") as hers,
        bob.room("lobby") as his,
        alice.room("attic") as her_other,
        bob.room("attic") as his_other,
    ):
        listening = [asyncio.create_task(events_until(room, is_message("the end"))) for room in (his, his_other)]

        cuts = 0

        async def cut_repeatedly():
            nonlocal cuts
            while cuts < 50:  # bounded, because on a loaded machine a login may take longer than the time between cuts
                await asyncio.sleep(chance.random() * 0.04)
                cable.cut()
                cuts += 1

        cutting = asyncio.create_task(cut_repeatedly())
        async with asyncio.timeout(PATIENCE):
            receipts = await asyncio.gather(
                *(room.say(str(n)) for n in range(200) for room in (hers, her_other)),
            )
        cutting.cancel()
        assert cuts > 3
        for n, room in enumerate((hers, her_other)):
            await room.say("the end")
            posted = [event for event in await listening[n] if isinstance(event, ChatMessage)]
            assert contents(posted[:-1]) == [str(n) for n in range(200)]
            assert [message.seq for message in posted[:-1]] == [receipt.seq for receipt in receipts[n::2]]


async def test_without_reconnect_a_disconnect_ends_all_rooms(server, key):
    async with Cable(server.port) as cable, connect_as(cable.port, "alice", key, reconnect=False) as chat:
        rooms = [chat.room("lobby"), chat.room("attic")]
        for room in rooms:
            await room.join()
        cable.cut()
        for room in rooms:
            for _ in range(2):
                with pytest.raises(ConnectionLost):
                    await events_until(room, lambda event: False)
            with pytest.raises(ConnectionLost):
                await room.say("anybody?")
        async with chat.room("lobby") as again:  # on a new connection
            assert (await again.say("hello")).seq == 1


async def test_first_connection_is_tried_once(server, key):
    async with Cable(server.port) as cable, connect_as(cable.port, "alice", key) as chat:
        cable.is_broken = True
        with pytest.raises(ConnectionLost):
            await chat.room("lobby").join()
        cable.is_broken = False
        await chat.room("lobby").join()


async def test_wrong_key_is_refused_not_retried(server, key):
    async with connect_as(server.port, "alice", key) as chat:
        await chat.room("lobby").join()
    async with connect_as(server.port, "alice", generate_key(2048)) as chat:
        for room in (chat.room("lobby"), chat.room("attic")):
            with pytest.raises(AccessRefused, match="Invalid signature"):
                await room.join()


async def test_old_server_is_named(key):
    async with OldServer() as server, connect_as(server.port, "alice", key) as chat:
        with pytest.raises(ServerTooOld, match="update the server"):
            await chat.room("lobby").join()


async def test_close_fails_pending_requests(server, key):
    async with Cable(server.port) as cable:
        async with connect_as(cable.port, "alice", key) as chat:
            room = chat.room("lobby")
            await room.join()
            cable.is_broken = True
            cable.cut()
            waiting = asyncio.create_task(room.say("late"))
            await events_until(room, lambda event: isinstance(event, Reconnecting))
        with pytest.raises(ConnectionLost, match="was closed"):
            await waiting


async def test_tls_uses_system_certificates(key, tmp_path, monkeypatch):
    certfile, keyfile = write_certificate(tmp_path)
    app = create_app(Settings(limits=NO_LIMITS), on_failure=fail_test, storage=Storage(MemoryAccounts()))
    async with (
        LiveServer(app, certfile=str(certfile), keyfile=str(keyfile)) as server,
        connect(f"https://localhost:{server.port}", Identity("ann", key)) as chat,
    ):
        with pytest.raises(ConnectionLost, match="certificate"):
            await chat.room("red").join()
        monkeypatch.setenv("SSL_CERT_FILE", str(certfile))  # the system's trusted certificates
        assert (await chat.room("red").join()).room_id == "red"


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", f"http://{'x' * 70}.example", "http://.example"])
async def test_invalid_address_raises_connection_lost(key, url):
    with pytest.raises(ConnectionLost):
        async with connect(url, Identity("ann", key)) as chat, chat.room("red"):
            pass


@pytest.mark.parametrize("proxy", ["socks_proxy", "all_proxy"])
async def test_unusable_proxy_raises_connection_lost(key, monkeypatch, proxy):
    monkeypatch.setenv(proxy, "socks5://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ConnectionLost):
        async with connect("ws://127.0.0.1:9", Identity("alice", key)) as chat, chat.room("red"):
            pass
