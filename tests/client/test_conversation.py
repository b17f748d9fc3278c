"""`Conversation` over many connections, against the real actors: the link may be cut after any message."""

import logging
import random

import anyio
import pytest

from chat_actors.chat import Limits
from chat_actors.client import AccessRefused, Conversation, Gap, generate_key
from chat_actors.client.conversation_events import (
    RequestAnswered,
    RequestRefused,
    RoomEnded,
    RoomEvent,
    RoomResumed,
)
from chat_actors.kernel.testing import RunningSystem, settle, virtual_asyncio
from chat_actors.protocol import ReadHistory, messages
from chat_actors.storage import Retention, StorageError
from tests.chat.rig import NO_LIMITS, START, Boom, MemoryChat, SlowJournal
from tests.client.link import Link

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


@pytest.fixture
def anyio_backend():
    return virtual_asyncio()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


async def test_requests_are_answered_and_delivered():
    async with RunningSystem() as system:
        link = Link(MemoryChat(system, journal=SlowJournal()), "ann")
        red, blue = link.open("red"), link.open("blue")
        wanted = [red.join_id, blue.join_id, red.post("one"), red.post("two"), blue.post("three")]
        await link.connect()
        await link.run_until_idle()
        assert sorted(link.answered()) == sorted(wanted)
        assert (link.contents("red"), link.contents("blue")) == (["one", "two"], ["three"])
        assert link.events_of(RoomResumed) == []


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("journal", [True, False], ids=["journal", "off"])
async def test_random_cuts_keep_each_message_once_in_order(seed, journal):
    chance = random.Random(seed)
    rooms = ("red", "blue")
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=0.02, room_messages=100_000) if journal else None
        chat = MemoryChat(system, journal=journal)
        links = [Link(chat, name) for name in ("ann", "ben", "cyd")]
        posted = {(link, room_id): [] for link in links for room_id in rooms}
        for link in links:
            link.open(*rooms)
            await link.connect()
            await link.run_until_idle()
        for n in range(400):
            link, room_id = chance.choice(links), chance.choice(rooms)
            if link.client is None:
                await link.connect()
            match chance.choices(["say", "send", "receive", "cut", "crash", "wait", "read"], [20, 40, 60, 3, 1, 10, 4])[
                0
            ]:
                case "say":
                    posted[link, room_id].append(link.rooms[room_id].post(f"{link.conversation.user_id} {n}"))
                case "send":
                    link.send_one()
                case "receive":
                    link.receive_one()
                    if link.retries and chance.random() < 0.3:
                        link.retry()
                case "cut" if journal is not None:
                    link.cut()
                case "crash" if inside := [other for other in links if other.room_actor(room_id) is not None]:
                    inside[0].room_actor(room_id).tell(Boom())
                    await anyio.sleep(61)  # a room that crashes too often closes, which another test covers
                case "read" if journal is not None:
                    room = link.rooms[room_id]
                    room.caught_up() if room.is_behind else room.fall_behind()
                case _:
                    await anyio.sleep(chance.random() / 20)
        for link in links:
            if link.client is None:
                await link.connect()
            for room in link.rooms.values():
                room.caught_up()
        for _ in range(3):
            for link in links:
                await link.run_until_idle()
        for link in links:
            assert link.events_of(RequestRefused) == link.events_of(RoomEnded) == []
            for room_id in rooms:
                assert [id_ for id_ in link.answered() if id_ in posted[link, room_id]] == posted[link, room_id]
                assert link.in_room(Gap, room_id) == []
        # Each user receives the messages since their own join; the first to join has received all.
        for room_id in rooms:
            everything = links[0].contents(room_id)
            assert sorted(everything) == sorted(set(everything))
            for link in links:
                mine = [content for content in everything if content.startswith(link.conversation.user_id)]
                assert [int(content.split()[1]) for content in mine] == sorted(int(c.split()[1]) for c in mine)
                assert len(mine) == len(posted[link, room_id])
                assert link.contents(room_id) == everything[len(everything) - len(link.contents(room_id)) :]
                assert link.seqs(room_id) == sorted(set(link.seqs(room_id)))


async def test_pruned_messages_are_a_gap():
    async with RunningSystem() as system:
        journal = SlowJournal()
        chat = MemoryChat(system, journal=journal)
        ann, ben = Link(chat, "ann"), Link(chat, "ben")
        for link in (ann, ben):
            link.open("red")
            await link.connect()
            await link.run_until_idle()
        ann.cut()
        for n in range(20):
            ben.rooms["red"].post(str(n))
        await ben.run_until_idle()
        await journal.prune(Retention(keep_messages=5), START)
        await ann.connect()
        await ann.run_until_idle()
        assert ann.contents() == [str(n) for n in range(15, 20)]
        assert [event for event in ann.events if event in (RoomResumed("red"), RoomEvent("red", Gap("red", 15)))] == [
            RoomResumed("red"),
            RoomEvent("red", Gap("red", 15)),
        ]


async def test_server_without_its_data_is_an_unknown_gap():
    async with RunningSystem() as system, RunningSystem() as other:
        chat = MemoryChat(system, journal=SlowJournal())
        ann = Link(chat, "ann")
        red = ann.open("red")
        for n in range(5):
            red.post(str(n))
        await ann.connect()
        await ann.run_until_idle()
        ann.cut()
        ann.events.clear()
        ann.chat = MemoryChat(other, journal=SlowJournal())
        red.post("new")
        await ann.connect()
        await ann.run_until_idle()
        assert ann.in_room(Gap) == [Gap("red", None)]
        assert ann.contents() == ["new"]


async def with_history(system, count, *, keep=None):
    """Make a chat whose room has `count` messages. Returns it and the numbers of the messages."""
    journal = SlowJournal()
    chat = MemoryChat(system, journal=journal)
    ben = Link(chat, "ben")
    red = ben.open("red")
    for n in range(count):
        red.post(str(n))
    await ben.connect()
    await ben.run_until_idle()
    if keep is not None:
        await journal.prune(Retention(keep_messages=keep), START)
    return chat, ben.seqs()


async def test_since_replays_each_message_once_over_cuts():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 10)
        ann = Link(chat, "ann")
        red = ann.open("red", since=seqs[3])
        wanted = [red.join_id, red.post("here")]
        await ann.connect()
        while not ann.contents():  # the link is cut in the middle of the replay
            ann.send_one()
            ann.receive_one()
            await settle(system)
        ann.cut()
        await ann.connect()
        await ann.run_until_idle()
        assert ann.contents() == ["4", "5", "6", "7", "8", "9", "here"]
        assert ann.answered() == wanted
        assert ann.in_room(Gap) == []


async def test_since_reports_pruned_messages_before_replay():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 10, keep=2)
        ann = Link(chat, "ann")
        ann.open("red", since=seqs[3])
        await ann.connect()
        await ann.run_until_idle()
        assert ann.in_room(Gap) == [Gap("red", 4)]
        assert ann.contents() == ["8", "9"]
        kinds = [type(event) for event in ann.in_room(object)]
        assert kinds.index(messages.Joined) < kinds.index(Gap) < kinds.index(messages.ChatMessage)


async def test_since_from_the_future_is_an_unknown_gap():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 3)
        ann = Link(chat, "ann")
        red = ann.open("red", since=seqs[-1] + 1000)
        red.post("new")
        await ann.connect()
        await ann.run_until_idle()
        assert ann.in_room(Gap) == [Gap("red", None)]
        assert ann.contents() == ["new"]


async def test_transient_failures_are_retried_in_order():
    async with RunningSystem() as system:
        journal = SlowJournal()
        ann = Link(MemoryChat(system, journal=journal), "ann")
        red = ann.open("red")
        await ann.connect()
        await ann.run_until_idle()
        journal.fail_with = FULL
        wanted = [red.post(str(n)) for n in range(3)]
        await settle(system)
        for _ in range(20):
            ann.send_one()
            await settle(system)
            ann.receive_one()
        assert ann.retries
        assert ann.contents() == []
        journal.fail_with = None
        await ann.run_until_idle()
        assert ann.contents() == ["0", "1", "2"]
        assert ann.answered()[1:] == wanted


async def test_frame_limit_is_waited_out():
    async with RunningSystem() as system:
        limits = Limits(registrations=0, messages_per_second=1, message_burst=6)
        ann = Link(MemoryChat(system, limits, journal=SlowJournal()), "ann")
        red = ann.open("red")
        for n in range(10):
            red.post(str(n))
        await ann.connect()
        await ann.run_until_idle()
        assert ann.contents() == [str(n) for n in range(10)]


async def test_refused_requests_do_not_stop_the_rest():
    async with RunningSystem() as system:
        ann = Link(MemoryChat(system, journal=SlowJournal()), "ann")
        await ann.connect()
        bad, red = ann.open("\n"), ann.open("red")
        nowhere = bad.post("in no room")
        too_long = red.post("x" * 5000)
        red.post("fine")
        await ann.run_until_idle()
        refused = {event.request_id: event.error.code for event in ann.events_of(RequestRefused)}
        assert refused == {
            bad.join_id: "invalid_room_id",
            nowhere: "invalid_room_id",
            too_long: "content_too_long",
        }
        assert [event.room_id for event in ann.events_of(RoomEnded)] == ["\n"]
        assert ann.contents() == ["fine"]


async def test_closed_room_is_rejoined():
    async with RunningSystem() as system:
        ann = Link(MemoryChat(system, NO_LIMITS, journal=SlowJournal()), "ann")
        red = ann.open("red")
        await ann.connect()
        await ann.run_until_idle()
        room = ann.room_actor()
        for _ in range(6):
            room.tell(Boom())
        await room.wait_stopped()
        red.post("still here")
        await ann.run_until_idle()
        assert ann.contents() == ["still here"]
        assert ann.in_room(messages.Error) == ann.events_of(RoomEnded) == []


async def test_queries_are_repeated_after_a_disconnect():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        ann = Link(chat, "ann")
        red = ann.open("red")
        red.post("one")
        await ann.connect()
        await ann.run_until_idle()
        asked = red.query(lambda request_id: ReadHistory("red", request_id=request_id))
        ann.send_one()
        ann.cut()
        await ann.connect()
        await ann.run_until_idle()
        (answer,) = [event.answer for event in ann.events_of(RequestAnswered) if event.request_id == asked]
        assert [message.content for message in answer.messages] == ["one"]
        bad = red.query(lambda request_id: ReadHistory("\n", request_id=request_id))
        await ann.run_until_idle()
        assert [event.request_id for event in ann.events_of(RequestRefused)] == [bad]


async def test_closed_room_is_left_and_not_rejoined():
    async with RunningSystem() as system:
        ann = Link(MemoryChat(system, journal=SlowJournal()), "ann")
        red = ann.open("red")
        ann.open("blue")
        await ann.connect()
        await ann.run_until_idle()
        red.close()
        await ann.run_until_idle()
        assert ann.room_actor("red") is None
        ann.cut()
        await ann.connect()
        await ann.run_until_idle()
        assert ann.events_of(RoomResumed) == [RoomResumed("blue")]
        assert ann.room_actor("red") is None


async def test_room_that_is_behind_leaves_until_caught_up():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        ann, ben = Link(chat, "ann"), Link(chat, "ben")
        for link in (ann, ben):
            link.open("red")
            await link.connect()
            await link.run_until_idle()
        ann.rooms["red"].fall_behind()
        await ann.run_until_idle()
        assert ann.room_actor() is None
        ben.rooms["red"].post("one")
        await ben.run_until_idle()
        sent = ann.rooms["red"].post("two")  # joins, and delivers nothing yet
        await ann.run_until_idle()
        assert sent in ann.answered()
        assert ann.contents() == []
        ann.rooms["red"].caught_up()
        await ann.run_until_idle()
        assert ann.contents() == ["one", "two"]
        assert ann.events_of(RoomResumed) == ann.in_room(Gap) == []


async def test_wrong_key_is_refused():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await chat.log_in("ann")
        link = Link(chat, "ann")
        link.conversation = Conversation("ann", generate_key(2048), new_id=lambda: "x")
        link.open("red")
        await link.connect()
        with pytest.raises(AccessRefused, match="Invalid signature"):
            await link.run_until_idle()
