"""Requests for `members` and `history` of rooms that do not run: the rooms they start, and their price."""

import msgspec
import pytest

from chat_actors.chat import CountRooms, events
from chat_actors.extensions.moderation import extension as moderation
from chat_actors.extensions.polls import extension as polls
from chat_actors.extensions.private_rooms import extension as private_rooms
from chat_actors.testing import MemoryServer, on_virtual_time
from chat_actors.testing.memory_server import NO_LIMITS


async def open_rooms(server):
    return await server._chat.directory.ask(CountRooms(), timeout=5)


@pytest.mark.parametrize("command", ["members", "history"])
@pytest.mark.parametrize("extension", [private_rooms, polls], ids=lambda extension: extension.name)
@on_virtual_time
async def test_query_of_unknown_room_starts_none(extension, command):
    async with MemoryServer(extension) as server:
        opened = []
        server.system.events.listen(events.RoomOpened, opened.append)
        ann = await server.connect("ann")
        for n in range(500):
            await ann.send(command, roomId=f"room-{n}")
        assert [message["type"] for message in ann.hear()] == [command] * 500
        assert not opened


@pytest.mark.parametrize("command", ["members", "history"])
@on_virtual_time
async def test_query_of_closed_private_room_is_refused(command):
    async with MemoryServer(private_rooms) as server:
        ann, eve = await server.connect("ann"), await server.connect("eve")
        await ann.send("create_room", roomId="den", kind="private")
        await server.restart()
        ann, eve = await server.connect("ann"), await server.connect("eve")
        await eve.send(command, roomId="den")
        assert eve.expect("error")["code"] == "private_room"
        await ann.send(command, roomId="den")
        ann.expect(command)
        assert await open_rooms(server) == 0


@on_virtual_time
async def test_query_of_closed_room_refuses_banned_user():
    async with MemoryServer(moderation) as server:
        ann, eve = await server.connect("ann", room="red"), await server.connect("eve")
        await ann.send("ban", userId="eve")
        await server.restart()
        eve = await server.connect("eve")
        await eve.send("history", roomId="red")
        assert eve.expect("error")["code"] == "banned"
        assert await open_rooms(server) == 0


@on_virtual_time
async def test_query_that_starts_a_room_is_a_room_change():
    limits = msgspec.structs.replace(NO_LIMITS, rooms_per_minute=3)
    async with MemoryServer(private_rooms, limits=limits) as server:
        ann = await server.connect("ann")
        for n in range(5):
            await ann.send("members", roomId=f"private-{n}", id=str(n))
        codes = [message.get("code") for message in ann.hear()]
        assert codes == [None, None, None, "too_many_rooms", "too_many_rooms"]
        assert await open_rooms(server) == 0


@on_virtual_time
async def test_query_leaves_a_room_with_members_open():
    async with MemoryServer(moderation) as server:
        ann, ben = await server.connect("ann", room="red"), await server.connect("ben")
        await ben.send("members", roomId="red")
        assert ben.expect("members")["members"] == ["ann"]
        await ann.say("still here")
        assert ann.expect("chat_message")["content"] == "still here"
