"""The rooms of one chat over real sockets: each is read, refused and limited on its own."""

import asyncio
import logging

import pytest

from chat_actors.chat import Limits, Storage
from chat_actors.client import (
    CommandRefused,
    ConnectionLost,
    Reconnecting,
    chat_connection,
    event_queue,
    generate_key,
)
from chat_actors.server.app import create_app
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from tests.client.cable import Cable
from tests.client.live_chat import NO_LIMITS, connect_as, contents, events_until, is_message
from tests.client.test_room import Shout, Shouted
from tests.patience import PATIENCE
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


async def test_room_can_be_open_once(server, key):
    async with connect_as(server.port, "alice", key) as chat:
        room = chat.room("general")
        with pytest.raises(ValueError, match="use that `Room`"):
            chat.room("general")
        await room.say("one")
        await room.aclose()
        async with chat.room("general") as again:
            assert (await again.say("two")).seq == 2


async def test_unread_room_holds_up_no_other(server, key, monkeypatch):
    """A room with too many unread events leaves, and delivers the rest once the program reads."""
    monkeypatch.setattr(event_queue, "MAX_UNREAD_EVENTS", 10)
    async with (
        connect_as(server.port, "alice", key) as alice,
        connect_as(server.port, "bob", key) as bob,
        alice.room("busy") as busy,
        alice.room("calm") as calm,
        bob.room("busy", listen=False) as his,
        bob.room("calm", listen=False) as his_calm,
    ):
        for n in range(60):
            await his.say(str(n))
        async with asyncio.timeout(PATIENCE):
            while (await his.members()).count != 1:
                pass
        await his_calm.say("still here")
        assert (await events_until(calm, is_message("still here")))[-1].user_id == "bob"
        receipt = await busy.say("posted while behind")  # joins for that
        assert receipt.seq == 61
        received = await events_until(busy, is_message("posted while behind"))
        assert contents(received) == [*(str(n) for n in range(60)), "posted while behind"]
        assert (await busy.members()).count == 2


async def test_without_listen_a_room_never_falls_behind(server, key, monkeypatch):
    monkeypatch.setattr(event_queue, "MAX_UNREAD_EVENTS", 10)
    async with connect_as(server.port, "alice", key) as chat, chat.room("lobby", listen=False) as room:
        for n in range(50):
            await room.say(str(n))
        assert (await room.members()).count == 1


async def test_reader_may_request_with_many_events_unread(server, key, monkeypatch):
    """A bot that answers slowly falls behind again and again, and misses nothing."""
    monkeypatch.setattr(event_queue, "MAX_UNREAD_EVENTS", 20)
    async with (
        connect_as(server.port, "bot", key) as bot,
        connect_as(server.port, "ann", key) as ann,
        bot.room("red") as its,
        ann.room("red", listen=False) as hers,
    ):
        saying = asyncio.gather(*(hers.say(str(n)) for n in range(300)))
        received = []
        async with asyncio.timeout(PATIENCE):
            async for message in its:
                if message.user_id == "ann":
                    received.append(message.content)
                    if len(received) % 50 == 1:
                        await its.say(f"heard {message.content}")
                        await its.history(limit=1)
                    if len(received) == 300:
                        break
        await saying
        assert received == [str(n) for n in range(300)]


async def test_refused_room_ends_alone(server, key):
    async with connect_as(server.port, "alice", key) as chat, chat.room("lobby") as lobby:
        with pytest.raises(CommandRefused, match="Room ID"):
            await chat.room("\n").join()
        assert (await lobby.say("still here")).seq == 1


async def test_room_limit_is_a_refusal(key):
    limits = Limits(registrations=0, rooms_per_connection=2)
    app = create_app(Settings(limits=limits), on_failure=fail_test, storage=Storage(MemoryAccounts()))
    async with LiveServer(app) as server, connect_as(server.port, "alice", key) as chat:
        rooms = [chat.room(name) for name in ("one", "two")]
        for room in rooms:
            await room.join()
        with pytest.raises(CommandRefused, match="At most 2 rooms") as caught:
            await chat.room("three").join()
        assert caught.value.code == "room_limit"
        await rooms[0].aclose()
        await chat.room("three").join()


async def test_messages_to_the_user_come_from_the_chat(server, key, monkeypatch, caplog):
    monkeypatch.setattr(event_queue, "MAX_UNREAD_EVENTS", 3)
    async with connect_as(server.port, "alice", key, messages=[Shouted]) as chat, chat.room("casino") as room:
        with caplog.at_level(logging.WARNING, chat_connection.__name__):
            for n in range(6):
                assert await room.tell(Shout(str(n)))
            await room.say("behind them")
        assert len(caplog.records) == 1
        async with asyncio.timeout(PATIENCE):
            assert [(await chat.receive()).text for _ in range(3)] == ["0", "1", "2"]
        assert await room.tell(Shout("later"))
        async with asyncio.timeout(PATIENCE):
            async for event in chat.events():
                assert event.text == "LATER"
                break


async def test_closing_the_chat_ends_its_events(server, key):
    async with connect_as(server.port, "alice", key) as chat:

        async def read():
            return [event async for event in chat.events()]

        reading = asyncio.create_task(read())
        await chat.room("lobby").join()
    async with asyncio.timeout(PATIENCE):
        assert await reading == []
    with pytest.raises(ConnectionLost, match="was closed"):
        await chat.receive()


async def test_too_long_message_fails_alone(server, key):
    async with connect_as(server.port, "ann", key) as chat, chat.room("red") as red, chat.room("blue") as blue:
        huge = asyncio.create_task(red.say("x" * 70_000))
        small = [asyncio.create_task(room.say("small")) for room in (red, blue)]
        with pytest.raises(CommandRefused, match="longer than the server takes"):
            await huge
        async with asyncio.timeout(PATIENCE):
            assert [(await task).seq for task in small] == [1, 1]


async def test_cancelled_message_is_not_sent_later(server, key):
    async with Cable(server.port) as cable, connect_as(cable.port, "ann", key) as chat, chat.room("red") as room:
        cable.is_broken = True
        cable.cut()
        await events_until(room, lambda event: isinstance(event, Reconnecting))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await room.say("given up")
        cable.is_broken = False
        await room.say("said again")
        assert contents((await room.history()).messages) == ["said again"]
