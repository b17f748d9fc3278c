"""`Conversation` over many connections, against the real actors: the link may be cut after any message."""

import itertools
import logging
import random

import anyio
import pytest

from chat_actors.chat import Frame, Limits
from chat_actors.client import AccessRefused, Conversation, Gap, generate_key
from chat_actors.client.conversation_events import RequestAnswered, RequestRefused, Resumed
from chat_actors.kernel.testing import RunningSystem, settle, virtual_asyncio
from chat_actors.protocol import ReadHistory, messages
from chat_actors.storage import Retention, StorageError
from tests.chat.rig import KEY, NO_LIMITS, START, Boom, MemoryChat, SlowJournal
from tests.chat.test_chat import room_of

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


@pytest.fixture
def anyio_backend():
    return virtual_asyncio()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


class Link:
    """Carries texts, one at a time, between a conversation and a chat in memory. It can be cut between any two."""

    def __init__(self, chat, user_id):
        ids = itertools.count()
        self.chat = chat
        self.conversation = Conversation(user_id, KEY, new_id=lambda: f"{user_id}-{next(ids)}")
        self.client = None
        self.texts = []
        self.events = []

    async def connect(self):
        self.client = await self.chat.connect()
        self.conversation.connected()

    def cut(self):
        """Drop the texts in flight, in both directions."""
        self.client.disconnect()
        self.texts.clear()
        self.client = None
        self.conversation.disconnected()

    def send_one(self):
        """Let the conversation send. Returns whether there was anything to send."""
        sent = self.conversation.to_send()
        for text in sent:
            self.client.unread.append(Frame(text))
        self.client.resume()
        return bool(sent)

    def receive_one(self):
        """Let the conversation receive one text. Returns whether there was one."""
        for block in self.client.outbox._blocks:
            self.texts += block.texts
        self.client.outbox._blocks.clear()
        self.client.outbox._size = 0
        if self.texts:
            self.events += self.conversation.receive(self.texts.pop(0))
            return True
        return False

    async def run_until_idle(self):
        """Send and receive until nothing is left to do, and retry what failed."""
        idle = 0
        while idle < 3:
            await settle(self.chat.system)
            progressed = self.send_one() | self.receive_one()
            if not progressed and self.conversation.needs_retry:
                await anyio.sleep(1)
                self.conversation.retry()
                progressed = True
            idle = 0 if progressed else idle + 1

    def answered(self):
        return [event.request_id for event in self.events if isinstance(event, RequestAnswered)]

    def contents(self):
        return [event.content for event in self.events if isinstance(event, messages.ChatMessage)]

    def seqs(self):
        return [event.seq for event in self.events if isinstance(event, messages.ChatMessage)]

    def events_of(self, cls):
        return [event for event in self.events if isinstance(event, cls)]


async def test_requests_are_answered_and_delivered():
    async with RunningSystem() as system:
        link = Link(MemoryChat(system, journal=SlowJournal()), "ann")
        wanted = [link.conversation.join("red"), link.conversation.post("one"), link.conversation.post("two")]
        await link.connect()
        await link.run_until_idle()
        assert link.answered() == wanted
        assert link.contents() == ["one", "two"]
        assert link.conversation.room_id == "red"
        assert link.events_of(Resumed) == []


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("journal", [True, False], ids=["journal", "off"])
async def test_random_cuts_keep_each_message_once_in_order(seed, journal):
    chance = random.Random(seed)
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=0.02, room_messages=100_000) if journal else None
        chat = MemoryChat(system, journal=journal)
        links = [Link(chat, name) for name in ("ann", "ben", "cyd")]
        wanted = {link: [link.conversation.join("red")] for link in links}
        for link in links:
            await link.connect()
            await link.run_until_idle()
        for n in range(400):
            link = chance.choice(links)
            if link.client is None:
                await link.connect()
            match chance.choices(["say", "send", "receive", "cut", "crash", "wait"], [20, 40, 60, 3, 1, 10])[0]:
                case "say":
                    wanted[link].append(link.conversation.post(f"{link.conversation.user_id} {n}"))
                case "send":
                    link.send_one()
                case "receive":
                    link.receive_one()
                    if link.conversation.needs_retry and chance.random() < 0.3:
                        link.conversation.retry()
                case "cut" if journal is not None:
                    link.cut()
                case "crash" if inside := [other for other in links if is_in_room(other)]:
                    room_of(inside[0].client).tell(Boom())
                    await anyio.sleep(61)  # a room that crashes too often closes, which another test covers
                case _:
                    await anyio.sleep(chance.random() / 20)
        for link in links:
            if link.client is None:
                await link.connect()
        for _ in range(3):
            for link in links:
                await link.run_until_idle()
        for link in links:
            assert link.answered() == wanted[link]
            assert link.events_of(RequestRefused) == link.events_of(Gap) == []
        # Each user receives the messages since their own join; the first to join has received all.
        everything = links[0].contents()
        assert sorted(everything) == sorted(set(everything))
        for link in links:
            mine = [content for content in everything if content.startswith(link.conversation.user_id)]
            assert [int(content.split()[1]) for content in mine] == sorted(int(c.split()[1]) for c in mine)
            assert len(mine) == len(wanted[link]) - 1
            assert link.contents() == everything[len(everything) - len(link.contents()) :]
            assert link.seqs() == sorted(set(link.seqs()))


def is_in_room(link):
    if link.client is None or link.client.session.is_stopped:
        return False
    return len(getattr(link.client.session._cell.actor, "_rooms", ())) > 0


async def test_pruned_messages_are_a_gap():
    async with RunningSystem() as system:
        journal = SlowJournal()
        chat = MemoryChat(system, journal=journal)
        ann, ben = Link(chat, "ann"), Link(chat, "ben")
        for link in (ann, ben):
            link.conversation.join("red")
            await link.connect()
            await link.run_until_idle()
        ann.cut()
        for n in range(20):
            ben.conversation.post(str(n))
        await ben.run_until_idle()
        await journal.prune(Retention(keep_messages=5), START)
        await ann.connect()
        await ann.run_until_idle()
        assert ann.events_of(Gap) == [Gap("red", 15)]
        assert ann.contents() == [str(n) for n in range(15, 20)]
        kinds = [type(event) for event in ann.events]
        assert kinds.index(Resumed) < kinds.index(Gap) < kinds.index(messages.ChatMessage)


async def test_server_without_its_data_is_an_unknown_gap():
    async with RunningSystem() as system, RunningSystem() as other:
        chat = MemoryChat(system, journal=SlowJournal())
        ann = Link(chat, "ann")
        ann.conversation.join("red")
        for n in range(5):
            ann.conversation.post(str(n))
        await ann.connect()
        await ann.run_until_idle()
        ann.cut()
        ann.events.clear()
        ann.chat = MemoryChat(other, journal=SlowJournal())
        ann.conversation.post("new")
        await ann.connect()
        await ann.run_until_idle()
        assert ann.events_of(Gap) == [Gap("red", None)]
        assert ann.contents() == ["new"]


async def with_history(system, count, *, keep=None):
    """Make a chat whose room has `count` messages. Returns it and the numbers of the messages."""
    journal = SlowJournal()
    chat = MemoryChat(system, journal=journal)
    ben = Link(chat, "ben")
    ben.conversation.join("red")
    for n in range(count):
        ben.conversation.post(str(n))
    await ben.connect()
    await ben.run_until_idle()
    if keep is not None:
        await journal.prune(Retention(keep_messages=keep), START)
    return chat, ben.seqs()


async def test_since_replays_each_message_once_over_cuts():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 10)
        ann = Link(chat, "ann")
        wanted = [ann.conversation.join("red", since=seqs[3]), ann.conversation.post("here")]
        await ann.connect()
        while not ann.events_of(messages.ChatMessage):  # the link is cut in the middle of the replay
            ann.send_one()
            ann.receive_one()
            await settle(system)
        ann.cut()
        await ann.connect()
        await ann.run_until_idle()
        assert ann.contents() == ["4", "5", "6", "7", "8", "9", "here"]
        assert ann.answered() == wanted
        assert ann.events_of(Gap) == []


async def test_since_reports_pruned_messages_before_replay():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 10, keep=2)
        ann = Link(chat, "ann")
        ann.conversation.join("red", since=seqs[3])
        await ann.connect()
        await ann.run_until_idle()
        assert ann.events_of(Gap) == [Gap("red", 4)]
        assert ann.contents() == ["8", "9"]
        kinds = [type(event) for event in ann.events]
        assert kinds.index(messages.Joined) < kinds.index(Gap) < kinds.index(messages.ChatMessage)


async def test_since_from_the_future_is_an_unknown_gap():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 3)
        ann = Link(chat, "ann")
        ann.conversation.join("red", since=seqs[-1] + 1000)
        ann.conversation.post("new")
        await ann.connect()
        await ann.run_until_idle()
        assert ann.events_of(Gap) == [Gap("red", None)]
        assert ann.contents() == ["new"]


async def test_transient_failures_are_retried_in_order():
    async with RunningSystem() as system:
        journal = SlowJournal()
        ann = Link(MemoryChat(system, journal=journal), "ann")
        ann.conversation.join("red")
        await ann.connect()
        await ann.run_until_idle()
        journal.fail_with = FULL
        wanted = [ann.conversation.post(str(n)) for n in range(3)]
        await settle(system)
        for _ in range(20):
            ann.send_one()
            await settle(system)
            ann.receive_one()
        assert ann.conversation.needs_retry
        assert ann.contents() == []
        journal.fail_with = None
        await ann.run_until_idle()
        assert ann.contents() == ["0", "1", "2"]
        assert ann.answered()[1:] == wanted


async def test_frame_limit_is_waited_out():
    async with RunningSystem() as system:
        limits = Limits(registrations=0, messages_per_second=1, message_burst=6)
        ann = Link(MemoryChat(system, limits, journal=SlowJournal()), "ann")
        ann.conversation.join("red")
        for n in range(10):
            ann.conversation.post(str(n))
        await ann.connect()
        await ann.run_until_idle()
        assert ann.contents() == [str(n) for n in range(10)]


async def test_refused_requests_do_not_stop_the_rest():
    async with RunningSystem() as system:
        ann = Link(MemoryChat(system, journal=SlowJournal()), "ann")
        await ann.connect()
        nowhere = ann.conversation.post("in no room")
        ann.conversation.join("red")
        too_long = ann.conversation.post("x" * 5000)
        ann.conversation.post("fine")
        await ann.run_until_idle()
        refused = [(event.request_id, event.error.code) for event in ann.events_of(RequestRefused)]
        assert refused == [(nowhere, "not_in_room"), (too_long, "content_too_long")]
        assert ann.contents() == ["fine"]


async def test_closed_room_is_rejoined():
    async with RunningSystem() as system:
        ann = Link(MemoryChat(system, NO_LIMITS, journal=SlowJournal()), "ann")
        ann.conversation.join("red")
        await ann.connect()
        await ann.run_until_idle()
        room = room_of(ann.client)
        for _ in range(6):
            room.tell(Boom())
        await room.wait_stopped()
        ann.conversation.post("still here")
        await ann.run_until_idle()
        assert ann.contents() == ["still here"]
        assert ann.events_of(messages.Error) == []


async def test_queries_are_repeated_after_a_disconnect():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        ann = Link(chat, "ann")
        ann.conversation.join("red")
        ann.conversation.post("one")
        await ann.connect()
        await ann.run_until_idle()
        asked = ann.conversation.query(lambda request_id: ReadHistory(request_id=request_id))
        ann.send_one()
        ann.cut()
        await ann.connect()
        await ann.run_until_idle()
        (answer,) = [event.answer for event in ann.events_of(RequestAnswered) if event.request_id == asked]
        assert [message.content for message in answer.messages] == ["one"]
        bad = ann.conversation.query(lambda request_id: ReadHistory("\n", request_id=request_id))
        await ann.run_until_idle()
        assert [event.request_id for event in ann.events_of(RequestRefused)] == [bad]


async def test_after_leave_nothing_is_rejoined():
    async with RunningSystem() as system:
        ann = Link(MemoryChat(system, journal=SlowJournal()), "ann")
        ann.conversation.join("red")
        ann.conversation.leave()
        await ann.connect()
        await ann.run_until_idle()
        assert ann.conversation.room_id is None
        ann.cut()
        await ann.connect()
        await ann.run_until_idle()
        assert len(ann.events_of(messages.Joined)) == 1


async def test_wrong_key_is_refused():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await chat.log_in("ann")
        link = Link(chat, "ann")
        link.conversation = Conversation("ann", generate_key(2048), new_id=lambda: "x")
        await link.connect()
        with pytest.raises(AccessRefused, match="Invalid signature"):
            await link.run_until_idle()
