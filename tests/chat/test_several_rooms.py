"""A session in several rooms: its current room, and additional ones."""

import anyio
import msgspec
import pytest

from chat_actors.chat.room_messages import ROOMS, ListUsers
from chat_actors.identity import sign
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import messages
from tests.chat.rig import KEY, NO_LIMITS, Boom, MemoryChat, SlowJournal, clients_in, contents, errors

pytestmark = pytest.mark.anyio


async def exchange(system, client, *commands):
    """Send commands and return the messages that follow."""
    for each in commands:
        client.deliver(**each)
    await settle(system)
    return client.hear()


def join(client_id, room_id, **more):
    return {"type": "join", "userId": client_id, "roomId": room_id, "additional": True, **more}


def said(received):
    return [(each.room_id, each.content) for each in received if isinstance(each, messages.ChatMessage)]


def removals(received):
    return [(each.code, each.room_id) for each in received if isinstance(each, messages.Error)]


async def in_rooms(chat, user_id, *additional, current=None):
    """A client in a current room, if given, and in additional ones."""
    client = await chat.log_in(user_id, current)
    await exchange(chat.system, client, *(join(user_id, room_id) for room_id in additional))
    return client


async def users_of(system, room_id):
    room = system.find(ROOMS, room_id)
    return [] if room is None else list((await room.ask(ListUsers(), timeout=5)).users)


async def test_additional_join_leaves_no_room():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(0))
        (ben,) = await clients_in(chat, "blue", "ben")
        ann = await chat.log_in("ann", "red")
        assert await exchange(system, ann, join("ann", "blue", id="q")) == [
            messages.Joined("blue", "ann", "Joined room: blue", 0, additional=True, request_id="q")
        ]
        assert [type(each).__name__ for each in ben.hear()] == ["UserJoined"]
        assert await users_of(system, "red") == ["ann"]


async def test_additional_joined_has_a_number_without_an_id():
    async with RunningSystem() as system:
        ann = await MemoryChat(system, journal=SlowJournal(0)).log_in("ann")
        (answer,) = await exchange(system, ann, join("ann", "blue"))
        assert (answer.seq, answer.additional) == (0, True)


async def test_command_without_a_room_is_about_the_current_room():
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system), "ann", "blue", current="red")
        post = {"type": "chat_message", "content": "hi"}
        assert said(await exchange(system, ann, post, {**post, "roomId": "blue"})) == [("red", "hi"), ("blue", "hi")]
        (left,) = await exchange(system, ann, {"type": "leave", "id": "q"})
        assert left == messages.Left("red", request_id="q")


@pytest.mark.parametrize("type_", ["chat_message", "leave", "members", "history"])
async def test_command_needs_a_room(type_):
    """It has no effect in another room than the one that it is about."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(0))
        ann = await chat.log_in("ann")
        sent = {"type": type_, "content": "hi", "id": "q"}
        assert errors(await exchange(system, ann, sent)) == [("not_in_room", "q")]
        await exchange(system, ann, join("ann", "blue"))
        assert errors(await exchange(system, ann, sent)) == [("no_current_room", "q")]
        assert errors(await exchange(system, ann, {**sent, "roomId": "blue"})) == []


@pytest.mark.parametrize("type_", ["chat_message", "leave"])
@pytest.mark.parametrize("current", [None, "red"])
async def test_command_about_a_room_that_is_not_joined_is_refused(type_, current):
    async with RunningSystem() as system:
        ann = await MemoryChat(system).log_in("ann", current)
        for room_id in ("blue", ""):
            sent = {"type": type_, "content": "hi", "roomId": room_id, "id": "q"}
            assert errors(await exchange(system, ann, sent)) == [("not_joined", "q")]
        assert await users_of(system, "red") == (["ann"] if current else [])


async def test_plain_join_leaves_the_current_room_only():
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system), "ann", "blue", current="red")
        await exchange(system, ann, {"type": "join", "userId": "ann", "roomId": "green"})
        assert [await users_of(system, room) for room in ("red", "blue", "green")] == [[], ["ann"], ["ann"]]


@pytest.mark.parametrize("how", [{"type": "switch_room"}, {"type": "join", "userId": "ann"}, {"since": 0}])
async def test_additional_room_becomes_the_current_room(how):
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        (ben,) = await clients_in(chat, "blue", "ben")
        ann = await in_rooms(chat, "ann", "blue", current="red")
        ben.hear()
        (joined,) = await exchange(system, ann, {"type": "join", "userId": "ann", "roomId": "blue", "id": "q", **how})
        assert (joined.room_id, joined.additional) == ("blue", None)
        assert ben.hear() == []
        assert said(await exchange(system, ann, {"type": "chat_message", "content": "hi"})) == [("blue", "hi")]
        assert await users_of(system, "red") == []
        await exchange(system, ann, {"type": "leave"})
        assert errors(await exchange(system, ann, {"type": "leave", "roomId": "blue", "id": "r"})) == [
            ("not_joined", "r")
        ]


async def test_repeated_additional_join_notifies_no_member():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(0))
        (ben,) = await clients_in(chat, "blue", "ben")
        ann = await in_rooms(chat, "ann", "blue", current="red")
        ben.hear()
        ann.deliver(type="chat_message", content="one", roomId="blue")
        await anyio.sleep(1)
        ann.hear()
        again, replayed = await exchange(system, ann, join("ann", "blue", id="q", since=0))
        assert (again.additional, again.seq, again.recovered, again.missed) == (True, 1, True, 1)
        assert replayed.content == "one"
        assert contents(ben.hear()) == ["one"]
        (current,) = await exchange(system, ann, join("ann", "red", id="r"))
        assert (current.additional, current.seq) == (None, 0)
        assert said(await exchange(system, ann, {"type": "chat_message", "content": "hi"})) == [("red", "hi")]


async def test_rooms_of_a_connection_are_limited():
    async with RunningSystem() as system:
        chat = MemoryChat(system, limits=msgspec.structs.replace(NO_LIMITS, rooms_per_connection=2))
        ann = await in_rooms(chat, "ann", "blue", current="red")
        assert errors(await exchange(system, ann, join("ann", "green", id="q"))) == [("room_limit", "q")]
        assert errors(await exchange(system, ann, join("ann", "blue"), join("ann", "red"))) == []
        switch = {"type": "switch_room", "roomId": "green"}
        assert errors(await exchange(system, ann, switch)) == []  # one room for another
        assert errors(await exchange(system, ann, {"type": "leave"}, join("ann", "red"))) == []
        assert errors(await exchange(system, ann, {**switch, "id": "r"})) == [("room_limit", "r")]
        assert [await users_of(system, room) for room in ("red", "blue", "green")] == [["ann"], ["ann"], []]


async def test_login_under_another_name_leaves_all_rooms():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann, ben = await in_rooms(chat, "ann", "blue", current="red"), await chat.log_in("ben", "blue")
        await log_in_as(system, ann, "ben")
        assert [await users_of(system, room) for room in ("red", "blue")] == [[], ["ben"]]
        assert [type(each).__name__ for each in ben.hear()] == ["UserLeft"]
        assert errors(await exchange(system, ann, {"type": "leave", "id": "q"})) == [("not_in_room", "q")]


async def log_in_as(system, client, user_id):
    client.hear()
    (challenge,) = await exchange(system, client, {"type": "get_challenge"})
    signature = sign(KEY, challenge.challenge)
    await exchange(system, client, {"type": "authenticate", "userId": user_id, "signature": signature})


async def test_disconnect_leaves_all_rooms():
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system), "ann", "blue", "green", current="red")
        ann.disconnect()
        await settle(system)
        assert [await users_of(system, room) for room in ("red", "blue", "green")] == [[], [], []]


async def test_room_that_ends_removes_from_itself_only():
    async with RunningSystem() as system:
        ann = await in_rooms(MemoryChat(system), "ann", "blue", current="red")
        blue = system.find(ROOMS, "blue")
        for _ in range(6):
            blue.tell(Boom())
        await blue.wait_stopped()
        await settle(system)
        assert removals(ann.hear()) == [("room_closed", "blue")]
        post = {"type": "chat_message", "content": "hi", "id": "q"}
        assert said(await exchange(system, ann, post)) == [("red", "hi")]
        assert errors(await exchange(system, ann, {**post, "roomId": "blue"})) == [("not_joined", "q")]
        await exchange(system, ann, join("ann", "blue"))
        assert said(await exchange(system, ann, {**post, "roomId": "blue"})) == [("blue", "hi")]
