"""Rooms with a room kind: what it decides, and the guarantees that it cannot break."""

import itertools

import anyio
import msgspec
import pytest

from chat_actors.chat import Enabled, Extension, Extensions, Refused, RoomKind, events
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import ExtensionMessage
from tests.chat.rig import SlowJournal, chat_of_kinds, chat_with, clients_in, contents, errors, room_of, seqs

pytestmark = pytest.mark.anyio


class Notice(ExtensionMessage, tag="notice"):
    text: str


class AnnouncementSettings(msgspec.Struct, frozen=True):
    speakers: tuple[str, ...] = ("ann",)
    banned: tuple[str, ...] = ("eve",)


class Announcements(RoomKind):
    rooms = "announcements-*"

    def __init__(self):
        self.joined = []
        self.left = []

    async def on_open(self):
        self.users_at_open = list(self.room.users)

    async def may_join(self, user_id):
        if user_id in self.settings.banned:
            raise Refused("banned", "You are banned from here.")

    def on_join(self, user_id):
        self.joined.append(user_id)
        self.room.tell(user_id, Notice(f"welcome, {user_id}"))

    def on_leave(self, user_id):
        self.left.append(user_id)
        self.room.tell_all(Notice(f"bye, {user_id}"))

    def state_for(self, user_id):
        return {"maySpeak": user_id in self.settings.speakers}

    async def on_post(self, user_id, content):
        if user_id not in self.settings.speakers:
            raise Refused("read_only", "Only speakers may post here.")
        if content == "crash":
            raise ValueError("asked to crash")
        if content == "remove ben":
            self.room.remove("ben", "kicked", "You were removed.")
        if content.startswith("wait "):
            await anyio.sleep(float(content[5:]))
        return content.upper()


KINDS = Extension(name="announcements", room_kinds=[Announcements], settings=AnnouncementSettings)
ROOM = "announcements-news"


def kind_of(client):
    return room_of(client)._cell.actor._policy._kinds[0][1]


def raw(client):
    """The messages in a client's outbox, decoded from JSON."""
    found = [msgspec.json.decode(text) for block in client.outbox._blocks for text in block.texts]
    client.outbox._blocks.clear()
    return found


@pytest.mark.parametrize("journal", [True, False], ids=["journal", "off"])
async def test_kind_rewrites_and_refuses_posts(journal):
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS, journal=SlowJournal() if journal else None)
        ann, ben = await clients_in(chat, ROOM, "ann", "ben")
        ann.hear()
        ann.deliver(type="chat_message", content="hello")
        ben.deliver(type="chat_message", content="may I?", id="q")
        await settle(system)
        assert contents(ann.hear()) == ["HELLO"]
        received = ben.hear()
        assert contents(received) == ["HELLO"]
        assert errors(received) == [("read_only", "q")]


async def test_new_members_receive_the_state():
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS)
        for name, may_speak in (("ann", True), ("ben", False)):
            client = await chat.log_in(name)
            client.deliver(type="join", userId=name, roomId=ROOM)
            await settle(system)
            joined = next(message for message in raw(client) if message["type"] == "joined")
            assert joined["state"] == {"announcements": {"maySpeak": may_speak}}


async def test_rejoin_receives_the_state():
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS, journal=SlowJournal())
        (ann,) = await clients_in(chat, ROOM, "ann")
        ann.deliver(type="chat_message", content="one")
        await settle(system)
        ben = await chat.log_in("ben")
        ben.deliver(type="join", userId="ben", roomId=ROOM, since=0)
        await settle(system)
        joined, *rest = raw(ben)
        assert (joined["recovered"], joined["state"]) == (True, {"announcements": {"maySpeak": False}})
        assert "ONE" in [message.get("content") for message in rest]


@pytest.mark.parametrize("how", ["join", "switch", "rejoin"])
async def test_refused_user_stays_in_the_current_room(how):
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS)
        eve, ben = await clients_in(chat, "cafe", "eve", "ben")
        eve.hear()
        match how:
            case "join":
                eve.deliver(type="join", userId="eve", roomId=ROOM, id="q")
            case "switch":
                eve.deliver(type="switch_room", roomId=ROOM, id="q")
            case "rejoin":
                eve.deliver(type="join", userId="eve", roomId=ROOM, since=3, id="q")
        eve.deliver(type="chat_message", content="still here")
        await settle(system)
        received = eve.hear()
        assert errors(received) == [("banned", "q")]
        assert contents(received) == contents(ben.hear()) == ["still here"]


async def test_kind_is_notified_once_for_each_stay():
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS)
        ann, ben, ben_again = await clients_in(chat, ROOM, "ann", "ben", "ben")
        kind = kind_of(ann)
        assert kind.joined == ["ann", "ben"]
        ben.disconnect()
        await settle(system)
        assert kind.left == []
        ann.hear()
        ben_again.deliver(type="switch_room", roomId="cafe")
        await settle(system)
        assert kind.left == ["ben"]
        assert [message["type"] for message in raw(ann)] == ["user_left", "notice"]


async def test_kind_removes_a_user_with_a_reason():
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS)
        ann, ben, other_ben = await clients_in(chat, ROOM, "ann", "ben", "ben")
        for client in (ann, ben, other_ben):
            client.hear()
        ann.deliver(type="chat_message", content="remove ben")
        await settle(system)
        for client in (ben, other_ben):
            assert errors(client.hear()) == [("kicked", None)]
        left = [message for message in raw(ann) if message["type"] == "user_left"]
        assert len(left) == 1
        ben.deliver(type="chat_message", content="me?", id="q")
        await settle(system)
        assert errors(ben.hear()) == [("not_in_room", "q")]


async def test_rooms_with_other_names_are_ordinary():
    async with RunningSystem() as system:
        ann, eve = await clients_in(chat_with(system, KINDS), "announcements", "ann", "eve")
        eve.deliver(type="chat_message", content="hello")
        await settle(system)
        assert contents(ann.hear()) == ["hello"]
        assert type(room_of(ann)._cell.actor).__name__ == "FragileRoom"


@pytest.mark.parametrize("journal", [True, False], ids=["journal", "off"])
async def test_kind_that_raises_crashes_its_room(journal):
    """The room restarts with its members."""
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS, journal=SlowJournal() if journal else None)
        ann, ben = await clients_in(chat, ROOM, "ann", "ben")
        ben.hear()
        for content in ("one", "crash", "two"):
            ann.deliver(type="chat_message", content=content)
        await anyio.sleep(1)
        received = ben.hear()
        assert contents(received) == ["ONE", "TWO"]
        assert seqs(received) == sorted(seqs(received))
        assert ("room_failed", None) in errors(ann.hear())
        assert kind_of(ann).users_at_open == ["ann", "ben"]


async def test_kind_that_takes_too_long_crashes_its_room():
    async with RunningSystem() as system:
        ann, _ = await clients_in(chat_with(system, KINDS), ROOM, "ann", "ben")
        ann.hear()
        ann.deliver(type="chat_message", content="wait 60")
        ann.deliver(type="chat_message", content="next")
        await anyio.sleep(10)
        received = ann.hear()
        assert errors(received) == [("room_failed", None)]
        assert contents(received) == ["NEXT"]


async def test_waiting_kind_does_not_block_other_rooms():
    async with RunningSystem() as system:
        chat = chat_with(system, KINDS)
        ann, _ = await clients_in(chat, ROOM, "ann", "ben")
        cyd, dan = await clients_in(chat, "cafe", "cyd", "dan")
        ann.deliver(type="chat_message", content="wait 1")
        for n in range(50):
            cyd.deliver(type="chat_message", content=str(n))
        await anyio.sleep(0.1)
        assert contents(dan.hear()) == [str(n) for n in range(50)]
        assert "WAIT 1" not in contents(ann.hear())
        await anyio.sleep(1)
        assert contents(ann.hear()) == ["WAIT 1"]


async def test_failing_kind_does_not_affect_other_rooms():
    class Unreliable(RoomKind):
        rooms = "unreliable"
        counted = itertools.count(1)

        async def on_post(self, user_id, content):
            if next(self.counted) % 100 == 0:
                raise ValueError("the hundredth")
            return content

    async with RunningSystem() as system:
        chat = chat_of_kinds(system, Unreliable)
        (ann,) = await clients_in(chat, "unreliable", "ann")
        cyd, dan = await clients_in(chat, "cafe", "cyd", "dan")
        cyd.hear()
        for n in range(300):
            ann.deliver(type="chat_message", content=str(n))
            cyd.deliver(type="chat_message", content=str(n))
            await anyio.sleep(0.01)
        await anyio.sleep(5)
        received = ann.hear()
        assert len(contents(received)) == 297
        assert errors(received) == [("room_failed", None)] * 3
        assert contents(cyd.hear()) == contents(dan.hear()) == [str(n) for n in range(300)]


async def test_kind_that_floods_the_bus_is_isolated():
    class Flooding(RoomKind):
        rooms = "flooding"

        async def on_post(self, user_id, content):
            for _ in range(1000):
                self.room.publish(events.UserJoined(user_id, "flooding"))
            return content

    async with RunningSystem() as system:
        chat = chat_of_kinds(system, Flooding)
        heard_events = []

        def listen(event):
            heard_events.append(event)
            raise RuntimeError("a listener that fails")

        system.events.listen(events.UserJoined, listen)
        (ann,) = await clients_in(chat, "flooding", "ann")
        cyd, dan = await clients_in(chat, "cafe", "cyd", "dan")
        for n in range(20):
            ann.deliver(type="chat_message", content=str(n))
            cyd.deliver(type="chat_message", content=str(n))
        await settle(system)
        assert contents(ann.hear()) == contents(dan.hear()) == [str(n) for n in range(20)]
        assert len(heard_events) >= 20_000


def test_first_matching_kind_of_an_extension_applies():
    class Anything(RoomKind):
        rooms = "*"

    kinds = Extensions([Enabled(Extension(name="one", room_kinds=[Announcements, Anything]))]).room_kinds
    assert [spec.kind for spec in kinds.for_room(ROOM)] == [Announcements]
    assert [spec.kind for spec in kinds.for_room("cafe")] == [Anything]
