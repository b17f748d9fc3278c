"""What a client learns of its rooms: removals, ends, failed moves, and notices during joins and leaves."""

import logging

import anyio
import msgspec
import pytest

from chat_actors.chat import Enabled, Extension, Extensions, RoomKind
from chat_actors.chat.room_messages import ROOMS, MemberRemoved
from chat_actors.identity import sign
from chat_actors.kernel.testing import RunningSystem
from chat_actors.protocol import messages, refusals
from chat_actors.storage import Append, Draft, StorageError
from tests.chat.rig import KEY, NO_LIMITS, START, Boom, MemoryChat, SlowJournal, errors, summaries
from tests.chat.test_room_changes import SLOW, post, sent
from tests.chat.test_several_rooms import exchange, in_rooms, join, removals, said, users_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


async def test_removal_from_many_rooms_is_told_for_each():
    """Also if the session's mailbox is full: the notices stay in order, before the refusals of later posts."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, limits=msgspec.structs.replace(NO_LIMITS, rooms_per_connection=0), extensions=SLOW)
        rooms = [f"slow-{n}" for n in range(80)]
        ann = await chat.log_in("ann", "slow-0")
        mod = await chat.log_in("mod", "slow-0")
        await anyio.sleep(5)
        for client, name in ((ann, "ann"), (mod, "mod")):
            await exchange(system, client, *(join(name, room_id) for room_id in rooms))
        await anyio.sleep(10)
        ann.hear()
        ann.deliver(type="switch_room", roomId="slow-other")  # two seconds in one turn
        for room_id in rooms:
            mod.deliver(type="expel", userId="ann", roomId=room_id)
        await anyio.sleep(10)
        assert sorted(removals(ann.hear())) == sorted(("expelled", room_id) for room_id in rooms[1:])


@pytest.mark.parametrize("rest", [(), ("blue",)])
@pytest.mark.parametrize("is_named", [True, False])
async def test_post_that_crosses_a_removal_is_refused_by_what_it_named(is_named, rest):
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=SLOW)
        ann = await in_rooms(chat, "ann", *rest, *(["slow"] if is_named else []), current=None if is_named else "slow")
        mod, zoe = await chat.log_in("mod", "slow"), await chat.log_in("zoe")
        ann.hear()
        await sent(zoe, join("zoe", "slow"))  # the room is busy for two seconds
        await sent(mod, {"type": "expel", "userId": "ann"})
        await sent(ann, post("late", id="q", **({"roomId": "slow"} if is_named else {})))
        await anyio.sleep(3)
        found = [(each.code, each.room_id, each.request_id) for each in ann.hear() if isinstance(each, messages.Error)]
        code = "not_joined" if is_named else "no_current_room" if rest else "not_in_room"
        assert found == [("expelled", "slow", None), (code, None, "q")]


async def test_end_of_a_room_is_told_before_the_next_join():
    """So the client knows that its posts in flight may be lost."""
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system), "ann", "red")
        system.find(ROOMS, "red").stop()
        closed, *rest = await sent(ann, post("lost", roomId="red", id="p"), join("ann", "red", id="j"))
        assert (closed.code, closed.room_id) == ("room_closed", "red")
        assert [each.request_id for each in (closed, *rest)].count("j") == 1
        assert (rest == []) == (closed.request_id == "j")  # the join finds the end, or follows it


async def test_client_that_lost_both_rooms_of_a_switch_is_told_of_both():
    class Breaks(SlowJournal):
        is_broken = False

        async def missed(self, room_id, **where):
            if self.is_broken:
                raise StorageError("read messages", "a test", "the disk fails", "replace it")
            return await super().missed(room_id, **where)

    async with RunningSystem() as system:
        journal = Breaks(0)
        await journal.commit([Append("green", [Draft("zoe", "1"), Draft("zoe", "2")])], START)
        ann = await in_rooms(MemoryChat(system, journal=journal), "ann", current="red")
        journal.is_broken = True
        switch = {"type": "join", "userId": "ann", "roomId": "green", "since": 1, "id": "j"}
        found = await exchange(system, ann, switch)
        assert ("internal_failure", "red") in removals(found)
        assert errors(await exchange(system, ann, post("hi", id="q"))) == [("not_in_room", "q")]


async def test_refused_switch_to_an_additional_room_keeps_the_current_room():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=SLOW)
        ann = await in_rooms(chat, "ann", "slow", current="red")
        mod = await chat.log_in("mod", "slow")
        await anyio.sleep(5)
        ann.hear()
        mod.deliver(type="expel", userId="ann")
        ann.deliver(type="switch_room", roomId="slow", id="s")
        await anyio.sleep(5)
        ann.hear()
        assert "red" not in [room_id for _, room_id in removals(ann.received)]


async def test_crash_of_one_room_keeps_the_others():
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system), "ann", "red", "blue")
        system.find(ROOMS, "red").tell(Boom())
        await anyio.sleep(1)
        assert said(await exchange(system, ann, post("hi", roomId="red"), post("ho", roomId="blue"))) == [
            ("red", "hi"),
            ("blue", "ho"),
        ]


# -- notices, logins and the current room during changes ---------------------------------------------------------------


async def test_notice_during_many_joins_is_kept_once():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=SLOW)
        ann, mod = await in_rooms(chat, "ann", "red"), await in_rooms(chat, "mod", "slow")
        await sent(ann, *(join("ann", f"slow-{n}") for n in range(30)))
        memberships = ann.session._cell.actor._memberships
        room = system.find(ROOMS, "slow")
        ann.session.tell(MemberRemoved(room, 1, refusals.ROOM_CLOSED))
        await anyio.sleep(0.1)
        assert {len(change.notices) for change in memberships.changes.values()} == {1}
        await anyio.sleep(10)
        assert not memberships.changes
        assert len(memberships) == 31
        assert removals(ann.hear() + mod.hear()) == []


async def test_member_that_is_removed_while_it_rejoins_is_out():
    async with RunningSystem() as system:
        journal = SlowJournal(0, room_messages=10_000)
        for _ in range(10):
            await journal.commit([Append("slow", [Draft("zoe", "x" * 1000) for _ in range(100)])], START)
        chat = MemoryChat(system, journal=journal, extensions=SLOW)
        ann, mod = await in_rooms(chat, "ann", "slow"), await in_rooms(chat, "mod", "slow")
        await anyio.sleep(5)
        ann.hear()
        await sent(ann, join("ann", "slow", since=0))
        mod.deliver(type="expel", userId="ann", roomId="slow")
        await anyio.sleep(5)
        ann.hear()
        await anyio.sleep(1)
        assert removals(ann.received + ann.hear()) == [("expelled", "slow")]
        assert len(ann.session._cell.actor._memberships) == 0


async def test_commands_behind_a_held_login_wait_for_it():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=SLOW)
        zoe, ann = await chat.log_in("zoe", "blue"), await chat.log_in("ann", "blue")
        await chat.log_in("ben")
        (challenge,) = await sent(ann, {"type": "get_challenge"})
        log_in = {"type": "authenticate", "userId": "ben", "signature": sign(KEY, challenge.challenge)}
        late = [join("ben", "blue"), post("as ben", roomId="blue")]
        assert await sent(ann, join("ann", "slow"), log_in, *late) == []
        zoe.hear()
        await anyio.sleep(5)
        assert [(each.user_id, each.content) for each in zoe.hear() if hasattr(each, "content")] == [("ben", "as ben")]


async def test_commands_behind_a_rejoin_of_the_current_room_keep_their_order():
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system), "ann", current="red")
        switch = {"type": "switch_room", "roomId": "blue"}
        found = await sent(ann, join("ann", "red", id="j"), switch, post("for blue"))
        assert [(type(each).__name__, each.room_id) for each in found] == [
            ("Joined", "red"),
            ("Joined", "blue"),
            ("ChatMessage", "blue"),
        ]


async def test_switch_to_an_additional_room_leaves_the_current_room_first():
    async with RunningSystem() as system:
        journal = SlowJournal(2)
        ann = await in_rooms(MemoryChat(system, journal=journal), "ann", "blue", current="red")
        await sent(ann, post("last"), {"type": "switch_room", "roomId": "blue"})
        await anyio.sleep(5)
        assert summaries(ann.hear()) == ["last", "Joined"]


async def test_room_that_is_slow_to_store_does_not_end_the_session():
    async with RunningSystem() as system:
        journal = SlowJournal(100)
        ann = await in_rooms(MemoryChat(system, journal=journal), "ann", "red", "blue")
        await sent(ann, post("last", roomId="red"), {"type": "leave", "roomId": "red"})
        await anyio.sleep(150)
        assert summaries(ann.hear()) == ["last", "Left"]
        assert ann.outbox.closing is None


async def test_join_that_takes_too_long_leaves_no_member():
    """The room admits the session later; it then leaves, and the client is told that it is out."""

    class Stuck(RoomKind):
        rooms = "stuck"

        async def on_open(self):
            await anyio.sleep(4.9)

        async def may_join(self, user_id):
            await anyio.sleep(4.9)

    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=Extensions([Enabled(Extension(name="stuck", room_kinds=[Stuck]))]))
        names = [f"user{n}" for n in range(12)]
        clients = [await chat.log_in(name) for name in names]
        for name, client in zip(names, clients, strict=True):
            client.deliver(**join(name, "stuck", id=name))
        await anyio.sleep(200)
        out = {name for name, client in zip(names, clients, strict=True) if removals(client.hear())}
        assert out
        assert set(await users_of(system, "stuck")) == set(names) - out
