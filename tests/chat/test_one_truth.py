"""The room alone owns its membership: whatever fails or races, room and session agree on who is in."""

import anyio
import pytest

from chat_actors.chat import Bot, Extension, Refused, RoomKind
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.storage import Append, Draft, StorageError
from tests.chat.rig import START, MemoryChat, SlowJournal, chat_with, clients_in, contents, errors, summaries, users_in

pytestmark = pytest.mark.anyio
UNREADABLE = StorageError("read messages", "a test", "the disk fails", "replace it")


class Door(RoomKind):
    """At most two users; `remove NAME` bans a user, `wait NAME` after a second."""

    rooms = "den"

    async def on_open(self):
        self.banned = set()

    async def may_join(self, user_id):
        if user_id in self.banned:
            raise Refused("banned", "You are banned.")
        if len(self.room.users) >= 3:
            raise Refused("full", "The den is full.")

    async def on_post(self, user_id, content):
        order, _, name = content.partition(" ")
        if order == "wait":
            await anyio.sleep(1)
        if order in ("wait", "remove"):
            self.banned.add(name)
            self.room.remove(name, "banned", "You are banned.")
        return content


class SlowToCount(SlowJournal):
    """Takes its time to count what a rejoin has missed, and fails if told to."""

    seconds_to_count = 0
    is_broken = False

    async def missed(self, room_id, **where):
        await anyio.sleep(self.seconds_to_count)
        if self.is_broken:
            raise UNREADABLE
        return await super().missed(room_id, **where)


def den(system, *services, journal=None, kind=Door):
    extension = Extension(name="door", services=list(services), room_kinds=[kind])
    return chat_with(system, extension, journal=journal or SlowJournal())


async def test_rejoin_of_a_full_room_keeps_the_member():
    async with RunningSystem() as system:
        ann, ben, _ = await clients_in(den(system), "den", "ann", "ben", "cyd")
        ben.deliver(type="join", userId="ben", roomId="den", since=0, id="q")
        await settle(system)
        assert errors(ben.hear()) == []
        ann.deliver(type="chat_message", content="hello")
        await anyio.sleep(1)
        assert contents(ben.hear()) == ["hello"]
        ben.deliver(type="switch_room", roomId="garden")
        await anyio.sleep(1)
        assert await users_in(ann) == ["ann", "cyd"]


async def test_removed_user_receives_nothing_more_from_a_replay():
    """The user reads slowly: most of the replay and of what is live has not been sent."""
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        await journal.commit([Append("den", [Draft("zoe", "x" * 1000) for _ in range(2500)])], START)
        chat = den(system, journal=journal)
        ann, _ = await clients_in(chat, "den", "ann", "cyd")
        ben = await chat.log_in("ben")
        ben.deliver(type="join", userId="ben", roomId="den", since=0)
        await anyio.sleep(1)
        ann.deliver(type="chat_message", content="held back")
        ann.deliver(type="chat_message", content="remove ben")
        await anyio.sleep(1)
        assert await users_in(ann) == ["ann", "cyd"]
        ann.deliver(type="chat_message", content="without ben")
        received = []
        for _ in range(100):
            received += ben.hear()
            await anyio.sleep(0.1)
        assert 0 < len(contents(received)) < 2500
        assert errors(received[-1:]) == [("banned", None)]
        assert received[-1].room_id == "den"
        assert {"held back", "without ben"}.isdisjoint(contents(received))


async def test_rejoin_that_waits_for_a_ban_is_told():
    async with RunningSystem() as system:
        ann, ben = await clients_in(den(system), "den", "ann", "ben")
        ann.deliver(type="chat_message", content="wait ben")
        await anyio.sleep(0.5)
        ben.deliver(type="join", userId="ben", roomId="den", since=0, id="q")
        await anyio.sleep(3)
        assert "den" in [error.room_id for error in ben.hear() if summaries([error]) == ["Error"]]
        ben.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ben.hear()) == [("not_in_room", "r")]
        assert await users_in(ann) == ["ann"]


async def test_failed_rejoin_names_the_room():
    """The client was in the room, so it must be told that it is out."""
    async with RunningSystem() as system:
        journal = SlowToCount()
        ann, ben = await clients_in(den(system, journal=journal), "den", "ann", "ben")
        ann.deliver(type="chat_message", content="one")
        await anyio.sleep(1)
        ben.hear()
        journal.is_broken = True
        ben.deliver(type="join", userId="ben", roomId="den", since=0, id="q")
        await anyio.sleep(1)
        (error,) = ben.hear()
        assert (error.code, error.room_id, error.request_id) == ("internal_failure", "den", "q")
        assert await users_in(ann) == ["ann"]


async def test_failed_move_names_the_room_that_was_left():
    async with RunningSystem() as system:
        journal = SlowToCount()
        await journal.commit([Append("garden", [Draft("zoe", "one")])], START)
        ann, ben = await clients_in(den(system, journal=journal), "den", "ann", "ben")
        journal.is_broken = True
        ben.deliver(type="join", userId="ben", roomId="garden", since=0, id="q")
        await anyio.sleep(1)
        (error,) = ben.hear()
        assert (error.code, error.room_id, error.request_id) == ("internal_failure", "den", "q")
        assert await users_in(ann) == ["ann"]


async def test_replay_that_fails_later_names_the_room():
    """`joined` was sent before."""

    class Unreadable(SlowJournal):
        async def page(self, room_id, **where):
            raise UNREADABLE

    async with RunningSystem() as system:
        chat = den(system, journal=(journal := Unreadable()))
        await journal.commit([Append("den", [Draft("zoe", "one")])], START)
        (ann,) = await clients_in(chat, "den", "ann")
        ben = await chat.log_in("ben")
        ben.deliver(type="join", userId="ben", roomId="den", since=0, id="q")
        await anyio.sleep(1)
        joined, error = ben.hear()
        assert summaries([joined]) == ["Joined"]
        assert (error.code, error.room_id, error.request_id) == ("internal_failure", "den", "q")
        assert await users_in(ann) == ["ann"]


@pytest.mark.parametrize("since", [{}, {"since": 0}], ids=["join", "rejoin"])
async def test_kind_that_raises_in_on_join_leaves_no_member(since):
    class Failing(RoomKind):
        rooms = "den"

        def on_join(self, user_id):
            if user_id == "ben":
                raise ValueError("asked to crash")

    async with RunningSystem() as system:
        chat = den(system, kind=Failing)
        (ann,) = await clients_in(chat, "den", "ann")
        ben = await chat.log_in("ben")
        ben.deliver(type="join", userId="ben", roomId="den", id="q", **since)
        await anyio.sleep(3)
        assert errors(ben.hear())[-1] == ("room_closed", "q")
        assert await users_in(ann) == ["ann"]
        ben.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ben.hear()) == [("not_in_room", "r")]


async def test_removal_reaches_a_session_with_a_full_mailbox():
    async with RunningSystem() as system:
        journal = SlowToCount()
        ann, ben = await clients_in(den(system, journal=journal), "den", "ann", "ben")
        ann.deliver(type="chat_message", content="one")
        await anyio.sleep(1)
        ben.hear()
        journal.seconds_to_count = 5
        await ben.send(type="join", userId="ben", roomId="den", since=0)
        await anyio.sleep(0.1)
        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(lambda: ben.send(type="ping"))
            await anyio.sleep(0.1)
            ann.deliver(type="chat_message", content="remove ben")
        await anyio.sleep(10)
        assert [error.room_id for error in ben.hear() if summaries([error]) == ["Error"]] == ["den"]


async def test_room_that_starts_slowly_admits_its_members():
    class SlowToOpen(SlowJournal):
        async def extent(self, room_id):
            await anyio.sleep(12 if room_id == "red" else 0)
            return await super().extent(room_id)

    async with RunningSystem() as system:
        ann = await MemoryChat(system, journal=SlowToOpen()).log_in("ann")
        ann.deliver(type="join", userId="ann", roomId="red")
        await anyio.sleep(30)
        assert summaries(ann.hear()) == ["Joined"]


class Doorman(Bot):
    name = "doorman"
    rooms = ("den",)

    async def on_message(self, room_id, message):
        if message.content == "speak":
            self.post(room_id, "spoken")
        if message.content == "sleep":
            await anyio.sleep(5)


class Kick(RoomKind):
    rooms = "den"

    async def on_post(self, user_id, content):
        if content == "kick":
            self.room.remove("bot:doorman", "kicked", "You were kicked.")
        return content


def state_of(bots):
    return bots[0].service_state


async def test_bot_that_rejoins_at_once_stays():
    """Its message from the earlier stay is not stored yet."""
    bots = []

    class Stubborn(Doorman):
        async def on_start(self):
            bots.append(self)

        async def on_refused(self, room_id, code, text):
            self.join(room_id, hold_open=True)

    async with RunningSystem() as system:
        chat = den(system, Stubborn, journal=SlowJournal(seconds=0.5), kind=Kick)
        await settle(system)
        (ann,) = await clients_in(chat, "den", "ann")
        ann.deliver(type="chat_message", content="speak")
        await anyio.sleep(0.6)
        ann.deliver(type="chat_message", content="kick")
        await anyio.sleep(9)
        assert "bot:doorman" in await users_in(ann)
        assert "den" in state_of(bots).rooms
        assert "spoken" in contents(ann.hear())


async def test_bot_with_a_full_mailbox_is_told_of_its_removal():
    bots = []

    class Sleepy(Doorman):
        mailbox_capacity = 2

        async def on_start(self):
            bots.append(self)

    async with RunningSystem() as system:
        chat = den(system, Sleepy, kind=Kick)
        await settle(system)
        (ann,) = await clients_in(chat, "den", "ann")
        for content in ("sleep", "1", "2", "3", "kick"):
            ann.deliver(type="chat_message", content=content)
            await anyio.sleep(0.1)
        await anyio.sleep(60)
        assert await users_in(ann) == ["ann"]
        assert "den" not in state_of(bots).rooms
