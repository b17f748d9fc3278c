"""A removal takes effect and is notified, also if the room crashes or closes meanwhile."""

import pytest
from anyio import sleep

from chat_actors.chat import Refused, RoomKind
from chat_actors.chat.room_messages import LeaveRoom, PostToRoom
from chat_actors.kernel.testing import RunningSystem, settle
from tests.chat.rig import Boom, SlowJournal, chat_of_kinds, clients_in, contents, errors, room_of, users_in

pytestmark = pytest.mark.anyio


class Door(RoomKind):
    """`ban NAME` stores a ban and removes the user; `forget NAME` stores it, and the room crashes."""

    rooms = "den"

    async def on_open(self):
        self.banned = await self.store.get("banned", list[str], [])

    async def may_join(self, user_id):
        if user_id in self.banned:
            raise Refused("banned", "You are banned.")
        if len(self.room.users) >= 3:
            raise Refused("full", "The den is full.")

    async def may_stay(self, user_id):
        if user_id in self.banned:
            raise Refused("banned", "You are banned.")

    async def on_post(self, user_id, content):
        order, _, name = content.partition(" ")
        if order in ("ban", "forget"):
            await self.store.put("banned", [*self.banned, name])
        if order == "forget":
            raise ValueError("asked to crash")
        if order == "ban":
            self.room.remove(name, "banned", "You are banned.")
        return content


async def members_of_den(system, *names):
    clients = await clients_in(chat_of_kinds(system, Door, journal=SlowJournal()), "den", *names)
    for client in clients:
        client.hear()
    return clients


def removals(client):
    """The room and the code of each error that says that the client is out."""
    return [(each.room_id, each.code) for each in client.hear() if getattr(each, "code", None) and each.room_id]


def mailbox_of(client):
    return client.session._cell.mailbox


def fill(client):
    mailbox_of(client).reserve(mailbox_of(client).capacity)


def empty(client):
    mailbox_of(client).release(mailbox_of(client).capacity)


@pytest.mark.parametrize("crashes", [1, 2])
async def test_crash_does_not_lose_the_notice_of_a_removal(crashes):
    async with RunningSystem() as system:
        ann, ben, cyd = await members_of_den(system, "ann", "ben", "cyd")
        room = room_of(ann)
        fill(ben)
        fill(cyd)
        for name in ("ben", "cyd"):
            ann.deliver(type="chat_message", content=f"ban {name}")
        await sleep(0.5)
        for _ in range(crashes):
            room.tell(Boom())
            await sleep(0.4)
        empty(ben)
        await sleep(3)
        empty(cyd)
        await sleep(3)
        assert removals(ben) == removals(cyd) == [("den", "banned")]
        assert system.statistics().restarts == crashes
        await settle(system)
        assert system.statistics().timers <= 3, "the timers of the room and of the writer"


async def test_room_closes_after_the_notice_of_a_removal():
    async with RunningSystem() as system:
        ann, ben = await members_of_den(system, "ann", "ben")
        room = room_of(ann)
        fill(ben)
        ann.deliver(type="chat_message", content="ban ben")
        await settle(system)
        ann.deliver(type="leave")
        await sleep(5)
        empty(ben)
        await sleep(1.1)
        assert removals(ben) == [("den", "banned")]
        assert room.is_stopped


async def test_room_closes_when_the_removed_session_has_ended():
    async with RunningSystem() as system:
        ann, ben = await members_of_den(system, "ann", "ben")
        room = room_of(ann)
        fill(ben)
        ann.deliver(type="chat_message", content="ban ben")
        await settle(system)
        ann.deliver(type="leave")
        ben.session.stop()
        await sleep(1.1)
        assert room.is_stopped


async def test_refused_post_reaches_a_session_with_a_full_mailbox():
    """The session takes itself for a member."""
    async with RunningSystem() as system:
        ann, ben = await members_of_den(system, "ann", "ben")
        room = room_of(ann)
        room.tell(LeaveRoom(ben.session))
        fill(ben)
        room.tell(PostToRoom(ben.session, "hello"))
        await settle(system)
        empty(ben)
        await sleep(1.1)
        assert removals(ben) == [("den", "room_closed")]


async def test_stored_ban_holds_after_a_crash():
    """The others stay, also if a new user would find the room full."""
    async with RunningSystem() as system:
        ann, ben, ben_too, cyd = await members_of_den(system, "ann", "ben", "ben", "cyd")
        ann.deliver(type="chat_message", content="forget ben", id="q")
        await sleep(1)
        ann.deliver(type="chat_message", content="hello")
        await sleep(1)
        assert errors(ann.hear()) == [("room_failed", "q")]
        assert removals(ben) == removals(ben_too) == [("den", "banned")]
        assert contents(ben.received) == []
        assert contents(cyd.hear()) == ["hello"]
        assert await users_in(ann) == ["ann", "cyd"]


async def test_room_without_members_after_a_crash_closes():
    async with RunningSystem() as system:
        (ann,) = await members_of_den(system, "ann")
        room = room_of(ann)
        ann.deliver(type="chat_message", content="forget ann")
        await sleep(1)
        assert removals(ann) == [("den", "banned")]
        assert room.is_stopped
