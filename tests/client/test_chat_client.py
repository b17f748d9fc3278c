"""`ChatClient` over real sockets, with a real server and a proxy in between that can be cut."""

import asyncio
import itertools
import random

import pytest

from chat_actors.chat import Limits, Storage
from chat_actors.client import (
    AccessRefused,
    Backoff,
    ChatClient,
    CommandRefused,
    ConnectionLost,
    Conversation,
    EventsUnread,
    Identity,
    Reconnected,
    Reconnecting,
    event_queue,
    generate_key,
    open_connection,
)
from chat_actors.client.socket import ClientSocket, websocket_url
from chat_actors.protocol import messages
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from tests.client.cable import Cable
from tests.patience import PATIENCE
from tests.wire.certificate import write_certificate
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio
NO_LIMITS = Limits(registrations=0, messages_per_second=0, rooms_per_minute=0)


@pytest.fixture(scope="module")
def key():
    return generate_key(2048)


@pytest.fixture
async def server():
    storage = Storage(MemoryAccounts(), MemoryJournal(room_messages=100_000))
    async with LiveServer(create_app(Settings(limits=NO_LIMITS), on_failure=fail_test, storage=storage)) as server:
        yield server


def connect_as(port, user_id, key, **options):
    options.setdefault("backoff", Backoff(random.Random(1).random, first=0.02, longest=0.05))
    return open_connection(f"ws://127.0.0.1:{port}", Identity(user_id, key), **options)


async def events_until(chat, is_last):
    received = []
    async with asyncio.timeout(PATIENCE):
        async for event in chat:
            received.append(event)
            if is_last(event):
                return received
    raise AssertionError("the stream ended")


def is_message(content):
    return lambda event: isinstance(event, messages.ChatMessage) and event.content == content


async def test_message_is_accepted_and_delivered(server, key):
    async with connect_as(server.port, "alice", key) as alice:
        joined = await alice.join("lobby")
        receipt = await alice.say("hello")
        received = await events_until(alice, is_message("hello"))
        assert received[0] == joined
        assert received[-1].seq == receipt.seq
        assert (await alice.members()).members == ["alice"]
        assert [message.content for message in (await alice.history()).messages] == ["hello"]
        assert (await alice.leave()).room_id == "lobby"
        with pytest.raises(CommandRefused, match="Not connected to any room") as caught:
            await alice.say("into the void")
        assert caught.value.code == "not_in_room"


async def test_reconnect_is_reported_and_loses_nothing(server, key):
    async with (
        Cable(server.port) as cable,
        connect_as(cable.port, "alice", key) as alice,
        connect_as(server.port, "bob", key) as bob,
    ):
        await alice.join("lobby")
        await bob.join("lobby")
        await bob.say("before")
        await events_until(alice, is_message("before"))
        cable.is_broken = True
        cable.cut()
        for n in range(300):
            await bob.say(str(n))
        cable.is_broken = False
        received = await events_until(alice, is_message("299"))
        kinds = [type(event) for event in received if isinstance(event, Reconnecting | Reconnected)]
        assert kinds[0] is Reconnecting
        assert kinds[-1] is Reconnected
        assert kinds.count(Reconnected) == 1
        posted = [event.content for event in received if isinstance(event, messages.ChatMessage)]
        assert posted == [str(n) for n in range(300)]


@pytest.mark.parametrize("seed", range(3))
async def test_random_cuts_lose_and_repeat_nothing(server, key, seed):
    chance = random.Random(seed)
    async with (
        Cable(server.port) as cable,
        connect_as(cable.port, "alice", key) as alice,
        connect_as(cable.port, "bob", key) as bob,
    ):
        for chat in (alice, bob):
            await chat.join("lobby")
        listening = asyncio.create_task(events_until(bob, is_message("the end")))

        cuts = 0

        async def cut_repeatedly():
            nonlocal cuts
            while cuts < 50:  # bounded, because on a loaded machine a login may take longer than the time between cuts
                await asyncio.sleep(chance.random() * 0.04)
                cable.cut()
                cuts += 1

        cutting = asyncio.create_task(cut_repeatedly())
        async with asyncio.timeout(PATIENCE):
            receipts = await asyncio.gather(*(alice.say(str(n)) for n in range(400)))
        cutting.cancel()
        assert cuts > 3
        await alice.say("the end")
        posted = [event for event in await listening if isinstance(event, messages.ChatMessage)]
        assert [message.content for message in posted[:-1]] == [str(n) for n in range(400)]
        assert [message.seq for message in posted[:-1]] == [receipt.seq for receipt in receipts]


class FailingSocket:
    """A connection on which sending fails once `fails` is set."""

    def __init__(self, socket):
        self._socket = socket
        self.fails = False

    async def send(self, text):
        if self.fails:
            raise ConnectionLost("a test", "the connection broke")
        await self._socket.send(text)

    async def receive(self):
        return await self._socket.receive()

    async def aclose(self):
        await self._socket.aclose()


async def test_disconnect_keeps_unread_events(server, key, monkeypatch):
    """Events that wait for space in the queue survive the end of their connection."""
    monkeypatch.setattr(event_queue, "MAX_UNREAD_EVENTS", 3)
    url, sockets, ids = websocket_url(f"ws://127.0.0.1:{server.port}"), [], itertools.count()

    async def open_socket():
        sockets.append(FailingSocket(await ClientSocket.open(url, None)))
        return sockets[-1]

    conversation = Conversation("alice", key, new_id=lambda: str(next(ids)))
    alice = ChatClient(url, conversation, open_socket, Backoff(lambda: 0.0), reconnect=True, listen=True)
    await alice.start()
    await alice.join("lobby")
    posted = []
    async with connect_as(server.port, "bob", key, listen=False) as bob:
        await bob.join("lobby")
        for n in range(10):
            for m in range(10):
                await bob.say(str(10 * n + m))
            while not alice._events._queue.full():  # noqa: ASYNC110 - a queue has no event for being full
                await asyncio.sleep(0.001)
            sockets[-1].fails = True
            saying = asyncio.create_task(alice.say("x"))
            while len(posted) < 10 * n + 10:
                async with asyncio.timeout(PATIENCE):
                    event = await alice.receive()
                if isinstance(event, messages.ChatMessage) and event.user_id == "bob":
                    posted.append(event.content)
            listening = asyncio.create_task(events_until(alice, is_message("x")))
            await saying
            await listening
    assert posted == [str(n) for n in range(100)]
    assert len(sockets) == 11
    await alice.aclose()


async def test_without_reconnect_a_disconnect_is_final(server, key):
    async with Cable(server.port) as cable, connect_as(cable.port, "alice", key, reconnect=False) as alice:
        await alice.join("lobby")
        cable.is_broken = True
        cable.cut()
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await events_until(alice, lambda event: False)
        with pytest.raises(ConnectionLost):
            await alice.say("anybody?")


async def test_first_connection_is_tried_once(server, key):
    async with Cable(server.port) as cable:
        cable.is_broken = True
        with pytest.raises(ConnectionLost):
            async with connect_as(cable.port, "alice", key):
                pass


async def test_wrong_key_is_refused_not_retried(server, key):
    async with connect_as(server.port, "alice", key):
        pass
    with pytest.raises(AccessRefused, match="Invalid signature"):
        async with connect_as(server.port, "alice", generate_key(2048)):
            pass


async def test_close_fails_pending_requests(server, key):
    async with Cable(server.port) as cable:
        async with connect_as(cable.port, "alice", key) as alice:
            await alice.join("lobby")
            cable.is_broken = True
            cable.cut()
            waiting = asyncio.create_task(alice.say("late"))
            await events_until(alice, lambda event: isinstance(event, Reconnecting))
        with pytest.raises(ConnectionLost, match="the client was closed"):
            await waiting


async def test_without_listen_events_do_not_accumulate(server, key):
    async with connect_as(server.port, "alice", key, listen=False) as alice:
        await alice.join("lobby")
        for n in range(event_queue.MAX_UNREAD_EVENTS + 50):
            await alice.say(str(n))


async def test_answer_behind_unread_events_fails(server, key, monkeypatch):
    monkeypatch.setattr(event_queue, "READ_TIMEOUT", 0.05)
    async with connect_as(server.port, "alice", key) as alice:
        await alice.join("lobby")

        async def post_too_much():
            for n in range(2 * event_queue.MAX_UNREAD_EVENTS):
                await alice.say(str(n))

        with pytest.raises(EventsUnread, match="listen=False"):
            await post_too_much()
        received = await events_until(alice, is_message(str(event_queue.MAX_UNREAD_EVENTS - 2)))
        posted = [event.content for event in received if isinstance(event, messages.ChatMessage)]
        assert posted == [str(n) for n in range(event_queue.MAX_UNREAD_EVENTS - 1)]


async def test_concurrent_requests_keep_their_order(server, key):
    async with connect_as(server.port, "alice", key, listen=False) as alice:
        answers = await asyncio.gather(
            alice.join("one"), alice.say("in one"), alice.join("two"), alice.say("in two"), alice.leave()
        )
        assert [type(answer).__name__ for answer in answers] == ["Joined", "Accepted", "Joined", "Accepted", "Left"]
        for room in ("one", "two"):
            assert [message.content for message in (await alice.history(room)).messages] == [f"in {room}"]
        with pytest.raises(CommandRefused, match="Room ID"):
            await alice.history("\n")


async def test_tls_uses_system_certificates(key, tmp_path, monkeypatch):
    certfile, keyfile = write_certificate(tmp_path)
    app = create_app(Settings(limits=NO_LIMITS), on_failure=fail_test, storage=Storage(MemoryAccounts()))
    async with LiveServer(app, certfile=str(certfile), keyfile=str(keyfile)) as server:
        url = f"https://localhost:{server.port}"
        with pytest.raises(ConnectionLost, match="certificate"):
            async with open_connection(url, Identity("ann", key)):
                pass
        monkeypatch.setenv("SSL_CERT_FILE", str(certfile))  # the system's trusted certificates
        async with open_connection(url, Identity("ann", key)) as chat:
            assert (await chat.join("red")).room_id == "red"


async def test_too_long_message_fails_alone(server, key):
    async with connect_as(server.port, "ann", key) as chat:
        await chat.join("red")
        huge, small = asyncio.create_task(chat.say("x" * 70_000)), asyncio.create_task(chat.say("small"))
        with pytest.raises(CommandRefused, match="longer than the server takes"):
            await huge
        async with asyncio.timeout(PATIENCE):
            assert (await small).seq > 0


async def test_bot_may_answer_with_many_events_unread(server, key, monkeypatch):
    """Answers arrive although more events wait in front of them than the queue holds."""
    monkeypatch.setattr(event_queue, "MAX_UNREAD_EVENTS", 20)
    async with connect_as(server.port, "bot", key) as bot, connect_as(server.port, "ann", key, listen=False) as ann:
        await bot.join("red")
        await ann.join("red")
        saying = asyncio.gather(*(ann.say(str(n)) for n in range(300)))
        received = 0
        async with asyncio.timeout(PATIENCE):
            async for event in bot:
                if isinstance(event, messages.ChatMessage) and event.user_id == "ann":
                    received += 1
                    if received % 50 == 1:
                        await bot.say(f"heard {event.content}")
                    if received == 300:
                        break
        await saying


async def test_cancelled_message_is_not_sent_later(server, key):
    async with Cable(server.port) as cable, connect_as(cable.port, "ann", key) as chat:
        await chat.join("red")
        cable.is_broken = True
        cable.cut()
        while not isinstance(await chat.receive(), Reconnecting):
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await chat.say("given up")
        cable.is_broken = False
        await chat.say("said again")
        page = await chat.history("red")
        assert [message.content for message in page.messages] == ["said again"]


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:99999", f"http://{'x' * 70}.example", "http://.example"]
)
async def test_invalid_address_raises_connection_lost(key, url):
    with pytest.raises(ConnectionLost):
        async with open_connection(url, Identity("ann", key)):
            pass


@pytest.mark.parametrize("proxy", ["socks_proxy", "all_proxy"])
async def test_unusable_proxy_raises_connection_lost(key, monkeypatch, proxy):
    monkeypatch.setenv(proxy, "socks5://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ConnectionLost):
        async with open_connection("ws://127.0.0.1:9", Identity("alice", key)):
            pass
