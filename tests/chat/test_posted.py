"""Room kinds decide on a message in `on_post`, and learn in `on_posted` that it is stored: once, after the commit."""

import anyio
import pytest

from chat_actors.chat import Refused, RoomKind, events
from chat_actors.kernel.testing import RunningSystem
from chat_actors.protocol import messages
from chat_actors.storage import StorageError
from tests.chat.rig import (
    Boom,
    MemoryChat,
    SlowJournal,
    chat_of_kinds,
    clients_in,
    contents,
    errors,
    room_of,
    seqs,
    summaries,
)

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


class Counting(RoomKind):
    rooms = "den"
    counted: list

    async def on_posted(self, user_id, content):
        self.counted.append(content)


class Strict(RoomKind):
    rooms = "den"

    async def on_post(self, user_id, content):
        if "bad" in content:
            raise Refused("bad", "That is not allowed here.")
        return content


@pytest.fixture
def counting():
    return type("Counting", (Counting,), {"counted": []})


def accepted(received):
    return [(message.client_msg_id, message.seq) for message in received if isinstance(message, messages.Accepted)]


@pytest.mark.parametrize("journal", [True, False], ids=["journal", "off"])
async def test_kind_does_not_count_what_another_refuses(counting, journal):
    async with RunningSystem() as system:
        chat = chat_of_kinds(system, counting, Strict, journal=SlowJournal() if journal else None)
        (ann,) = await clients_in(chat, "den", "ann")
        for content in ("one", "bad", "two"):
            ann.deliver(type="chat_message", content=content)
        await anyio.sleep(1)
        assert counting.counted == ["one", "two"]
        assert errors(ann.hear()) == [("bad", None)]


async def test_kind_does_not_count_what_is_not_stored(counting):
    async with RunningSystem() as system:
        journal = SlowJournal()
        (ann,) = await clients_in(chat_of_kinds(system, counting, journal=journal), "den", "ann")
        journal.fail_with = FULL
        ann.deliver(type="chat_message", content="lost", id="q")
        await anyio.sleep(1)
        journal.fail_with = None
        ann.deliver(type="chat_message", content="kept")
        await anyio.sleep(1)
        assert counting.counted == ["kept"]


async def test_repeated_message_is_counted_once(counting):
    async with RunningSystem() as system:
        (ann,) = await clients_in(chat_of_kinds(system, counting, journal=SlowJournal()), "den", "ann")
        for _ in range(3):
            ann.deliver(type="chat_message", content="one", clientMsgId="m1")
            await anyio.sleep(1)
        assert counting.counted == ["one"]
        received = ann.hear()
        assert accepted(received) == [("m1", 1)] * 3
        assert contents(received) == ["one"]


async def test_repeat_that_is_refused_now_is_accepted():
    """The kind allowed it the first time: slow mode, for example."""

    class Once(RoomKind):
        rooms = "den"

        async def on_open(self):
            self.spoken = set()

        async def on_post(self, user_id, content):
            if user_id in self.spoken or self.room.is_posting(user_id):
                raise Refused("slow_mode", "Wait.")
            return content

        async def on_posted(self, user_id, content):
            self.spoken.add(user_id)

    async with RunningSystem() as system:
        (ann,) = await clients_in(chat_of_kinds(system, Once, journal=SlowJournal(seconds=1)), "den", "ann")
        for pause in (0.1, 3, 0):
            ann.deliver(type="chat_message", content="one", clientMsgId="m1")
            await anyio.sleep(pause)
        ann.deliver(type="chat_message", content="two", clientMsgId="m2", id="q")
        await anyio.sleep(3)
        received = ann.hear()
        assert accepted(received) == [("m1", 1)] * 3
        assert errors(received) == [("slow_mode", "q")]
        assert contents(received) == ["one"]


@pytest.mark.parametrize("first_fails", [True, False])
async def test_repeat_cannot_bring_other_content(first_fails):
    """The content that was decided on is stored, or none."""
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=0.5)
        (ann,) = await clients_in(chat_of_kinds(system, Strict, journal=journal), "den", "ann")
        journal.fail_with = FULL if first_fails else None
        ann.deliver(type="chat_message", content="good", clientMsgId="m1", id="q")
        await anyio.sleep(0.1)
        ann.deliver(type="chat_message", content="bad", clientMsgId="m1", id="r")
        await anyio.sleep(0.5)
        journal.fail_with = None
        await anyio.sleep(2)
        received = ann.hear()
        assert contents(received) == ["good"]
        assert errors(received) == ([("not_stored", "q")] if first_fails else [])


async def test_refused_repeat_of_a_forgotten_message_is_refused():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=0.5, room_messages=2)
        ann, ben = await clients_in(chat_of_kinds(system, Strict, journal=journal), "den", "ann", "ben")
        ann.deliver(type="chat_message", content="good", clientMsgId="m1")
        await anyio.sleep(1)
        for n in range(3):
            ben.deliver(type="chat_message", content=str(n), clientMsgId=f"b{n}")
        await anyio.sleep(2)
        ann.deliver(type="chat_message", content="bad", clientMsgId="m1", id="q")
        await anyio.sleep(2)
        assert errors(ann.hear()) == [("bad", "q")]
        assert contents(ben.hear()) == ["good", "0", "1", "2"]


async def test_kind_does_not_hear_itself_but_others_do(counting):
    class Echo(RoomKind):
        rooms = "den"

        async def on_posted(self, user_id, content):
            self.room.say(f"echo: {content}", name="echo")

    async with RunningSystem() as system:
        (ann,) = await clients_in(chat_of_kinds(system, counting, Echo, journal=SlowJournal()), "den", "ann")
        ann.deliver(type="chat_message", content="one")
        await anyio.sleep(5)
        assert counting.counted == contents(ann.hear()) == ["one", "echo: one"]


class FailsOnBad(RoomKind):
    rooms = "den"

    async def on_posted(self, user_id, content):
        if content == "bad":
            raise ValueError("asked to crash")


async def test_message_on_which_a_kind_fails_is_posted():
    """Without a journal. The sender is not told to send it again."""
    async with RunningSystem() as system:
        (ann,) = await clients_in(chat_of_kinds(system, FailsOnBad), "den", "ann")
        ann.deliver(type="chat_message", content="bad", clientMsgId="m1", id="q")
        ann.deliver(type="chat_message", content="good")
        await anyio.sleep(1)
        received = ann.hear()
        assert errors(received) == []
        assert contents(received) == ["bad", "good"]


async def test_kind_that_fails_on_many_messages_closes_no_room():
    async with RunningSystem() as system:
        chat = chat_of_kinds(system, FailsOnBad, journal=SlowJournal(seconds=0.2))
        ann, ben = await clients_in(chat, "den", "ann", "ben")
        for _ in range(8):
            ann.deliver(type="chat_message", content="bad")
        await anyio.sleep(30)
        received = ben.hear()
        assert contents(received) == ["bad"] * 8
        assert seqs(received) == list(range(1, 9))
        assert errors(received) == []


async def test_kind_that_hangs_on_many_messages_holds_the_room_once():
    """The limit for hooks holds for the batch: the room crashes, and goes on with the rest."""

    class Hangs(RoomKind):
        rooms = "den"

        async def on_posted(self, user_id, content):
            if content == "hang":
                await anyio.sleep_forever()

    async with RunningSystem() as system:
        chat = chat_of_kinds(system, Hangs, journal=SlowJournal(seconds=0.2))
        ann, ben = await clients_in(chat, "den", "ann", "ben")
        for content in ("first", "hang", *map(str, range(20))):
            ann.deliver(type="chat_message", content=content)
        await anyio.sleep(8)
        ben.deliver(type="chat_message", content="still here")
        await anyio.sleep(2)
        assert contents(ben.hear())[-1] == "still here"


async def test_kind_that_fails_at_the_end_of_a_room():
    """The room is closed for all listeners of the event bus."""

    class Failing(RoomKind):
        rooms = "den"

        def on_leave(self, user_id):
            raise ValueError("asked to fail")

    async with RunningSystem() as system:
        closed = []
        system.events.listen(events.RoomClosed, closed.append)
        (ann,) = await clients_in(chat_of_kinds(system, Failing), "den", "ann")
        ann.deliver(type="leave")
        await anyio.sleep(1)
        assert [event.room_id for event in closed] == ["den"]


async def test_event_of_a_message_that_a_restart_delivers():
    """The room crashes while its first message is stored."""
    async with RunningSystem() as system:
        published = []
        system.events.listen(events.MessagePosted, published.append)
        (ann,) = await clients_in(MemoryChat(system, journal=SlowJournal()), "den", "ann")
        ann.deliver(type="chat_message", content="one")
        room_of(ann).tell(Boom())
        await anyio.sleep(2)
        assert contents(ann.hear()) == [event.content for event in published] == ["one"]


async def test_kind_learns_that_the_last_user_has_left():
    left = []

    class Leaving(RoomKind):
        rooms = "den"

        def on_leave(self, user_id):
            left.append(user_id)

    async with RunningSystem() as system:
        (ann,) = await clients_in(chat_of_kinds(system, Leaving), "den", "ann")
        ann.deliver(type="leave")
        await anyio.sleep(1)
        assert left == ["ann"]
        assert summaries(ann.hear()) == ["Left"]
