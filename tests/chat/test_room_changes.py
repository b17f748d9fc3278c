"""Joins and leaves of additional rooms run beside the session's turns: a slow room holds up no other."""

import logging

import anyio
import msgspec
import pytest

from chat_actors.chat import Caller, Enabled, Extension, Extensions, Refused, RoomKind, command
from chat_actors.chat.memberships import MAX_HELD
from chat_actors.identity import sign
from chat_actors.kernel.testing import RunningSystem
from chat_actors.protocol import ExtensionCommand
from chat_actors.storage import Append, Draft
from tests.chat.rig import KEY, NO_LIMITS, START, MemoryChat, SlowJournal, contents, errors, summaries
from tests.chat.test_several_rooms import exchange, in_rooms, join, removals, said, users_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


class Expel(ExtensionCommand, frozen=True, tag="expel"):
    user_id: str


class SlowDen(RoomKind):
    """Takes two seconds to admit a user, and removes a user on command."""

    rooms = "slow*"

    async def may_join(self, user_id):
        await anyio.sleep(2)
        if user_id == "eve":
            raise Refused("no_eve", "Not you.")

    @command()
    def expel(self, caller: Caller, expel: Expel) -> None:
        self.room.remove(expel.user_id, "expelled", "You are expelled.")


SLOW = Extensions([Enabled(Extension(name="slow", room_kinds=[SlowDen]))])


def post(content, **more):
    return {"type": "chat_message", "content": content, **more}


async def sent(client, *commands):
    """Send commands and return what the client receives within 0.1 s."""
    for each in commands:
        client.deliver(**each)
    await anyio.sleep(0.1)
    return client.hear()


async def test_slow_join_holds_up_no_other_room():
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system, extensions=SLOW), "ann", "red")
        await sent(ann, join("ann", "slow"), join("ann", "blue"))
        assert said(await sent(ann, post("hi", roomId="red"), post("ho", roomId="blue"))) == [
            ("red", "hi"),
            ("blue", "ho"),
        ]
        await anyio.sleep(3)
        assert [joined.room_id for joined in ann.hear()] == ["slow"]


async def test_commands_that_name_a_room_wait_for_its_join_in_order():
    async with RunningSystem() as system:
        ann = await MemoryChat(system, extensions=SLOW).log_in("ann")
        commands = [join("ann", "slow"), post("one", roomId="slow"), post("two", roomId="slow")]
        last = [{"type": "leave", "roomId": "slow"}, join("ann", "slow"), post("three", roomId="slow")]
        assert await sent(ann, *commands, *last) == []
        await anyio.sleep(5)
        assert summaries(ann.hear()) == ["Joined", "one", "two", "Left", "Joined", "three"]


async def test_commands_that_wait_are_limited():
    async with RunningSystem() as system:
        ann = await MemoryChat(system, extensions=SLOW).log_in("ann")
        posts = [post(str(n), roomId="slow", id=str(n)) for n in range(MAX_HELD + 1)]
        assert errors(await sent(ann, join("ann", "slow"), *posts)) == [("busy", str(MAX_HELD))]
        await anyio.sleep(3)
        assert contents(ann.hear()) == [str(n) for n in range(MAX_HELD)]


async def test_refused_join_refuses_the_commands_that_wait():
    async with RunningSystem() as system:
        eve = await MemoryChat(system, extensions=SLOW).log_in("eve", "red")
        await sent(eve, join("eve", "slow", id="j"), post("one", roomId="slow", id="q"))
        await anyio.sleep(3)
        assert errors(eve.hear()) == [("no_eve", "j"), ("not_joined", "q")]


async def test_login_waits_for_the_joins_and_leaves_their_rooms():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=SLOW)
        ann = await chat.log_in("ann")
        await chat.log_in("ben")
        (challenge,) = await sent(ann, {"type": "get_challenge"})
        log_in = {"type": "authenticate", "userId": "ben", "signature": sign(KEY, challenge.challenge)}
        assert await sent(ann, join("ann", "slow"), log_in) == []
        await anyio.sleep(3)
        assert summaries(ann.hear()) == ["Joined", "Authenticated"]
        assert await users_of(system, "slow") == []


async def test_disconnect_during_a_join_leaves_no_member():
    async with RunningSystem() as system:
        ann = await MemoryChat(system, extensions=SLOW).log_in("ann")
        await sent(ann, join("ann", "slow"))
        ann.disconnect()
        await anyio.sleep(5)
        assert await users_of(system, "slow") == []


async def test_joins_under_way_count_for_the_limit():
    async with RunningSystem() as system:
        limits = msgspec.structs.replace(NO_LIMITS, rooms_per_connection=2)
        ann = await MemoryChat(system, limits=limits, extensions=SLOW).log_in("ann")
        joins = [join("ann", room_id, id=room_id) for room_id in ("slow", "slow-2", "red")]
        assert errors(await sent(ann, *joins)) == [("room_limit", "red")]


async def test_room_that_is_being_left_does_not_count_for_the_limit():
    async with RunningSystem() as system:
        limits = msgspec.structs.replace(NO_LIMITS, rooms_per_connection=2)
        chat = MemoryChat(system, limits=limits, journal=SlowJournal(2))
        ann = await in_rooms(chat, "ann", "red", "blue")
        found = await sent(ann, post("last", roomId="red"), {"type": "leave", "roomId": "red"}, join("ann", "green"))
        assert summaries(found) == ["Joined"]


async def test_removal_during_a_replay_ends_the_membership():
    async with RunningSystem() as system:
        journal = SlowJournal(0, room_messages=10_000)
        for _ in range(10):
            await journal.commit([Append("slow", [Draft("zoe", "x" * 1000) for _ in range(100)])], START)
        chat = MemoryChat(system, journal=journal, extensions=SLOW)
        mod = await in_rooms(chat, "mod", "slow")
        ann = await chat.log_in("ann")
        await anyio.sleep(3)
        ann.deliver(**join("ann", "slow", since=0))
        await anyio.sleep(5)  # in the replay, which waits for the client to read
        assert await users_of(system, "slow") == ["mod", "ann"]
        mod.deliver(type="expel", userId="ann", roomId="slow")
        await anyio.sleep(1)
        ann.hear()
        await anyio.sleep(1)
        assert removals(ann.received + ann.hear())[-1] == ("expelled", "slow")
        assert await users_of(system, "slow") == ["mod"]
        assert errors(await exchange(system, ann, post("hi", roomId="slow", id="q"))) == [("not_joined", "q")]


async def test_slow_replay_holds_up_no_command():
    async with RunningSystem() as system:
        journal = SlowJournal(0, room_messages=10_000)
        for _ in range(10):
            await journal.commit([Append("blue", [Draft("zoe", "x" * 1000) for _ in range(100)])], START)
        ann = await in_rooms(MemoryChat(system, journal=journal), "ann", "red")
        ann.deliver(**join("ann", "blue", since=0))
        await anyio.sleep(1)
        ann.deliver(type="ping")
        await anyio.sleep(0.1)
        assert "Pong" in summaries(ann.hear())


async def test_leave_waits_for_the_posts_and_holds_up_no_other_room():
    async with RunningSystem() as system:
        journal = SlowJournal(2)
        ann = await in_rooms(MemoryChat(system, journal=journal), "ann", "red", "blue")
        commands = [post("last", roomId="red"), {"type": "leave", "roomId": "red", "id": "q"}, {"type": "ping"}]
        assert summaries(await sent(ann, *commands)) == ["Pong"]
        await anyio.sleep(5)
        assert summaries(ann.hear()) == ["last", "Left"]


@pytest.mark.parametrize("current", ["red", None])
async def test_post_waits_behind_a_plain_join_that_waits(current):
    """It is meant for the room of the join, not for the current room before."""
    async with RunningSystem() as system:
        ann = await MemoryChat(system, extensions=SLOW).log_in("ann", current)
        plain = {"type": "join", "userId": "ann", "roomId": "slow"}
        assert await sent(ann, join("ann", "slow"), plain, post("hi")) == []
        await anyio.sleep(7)
        assert summaries(ann.hear()) == ["Joined", "Joined", "hi"]
        assert said(ann.received)[-1] == ("slow", "hi")
