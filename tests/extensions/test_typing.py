"""Typing indicators and read positions."""

from chat_actors.extensions.typing import extension
from chat_actors.testing import MemoryServer, on_virtual_time


@on_virtual_time
async def test_only_subscribers_receive_typing_and_read():
    async with MemoryServer(extension) as server:
        ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        for client in (ann, ben, cyd):
            client.hear()
        await ben.send("typing_watch")
        assert ben.expect("typing_watched") == {"type": "typing_watched", "roomId": "den", "typing": [], "read": {}}
        await ann.send("typing")
        await ann.send("read", seq=7)
        assert ben.hear() == [
            {"type": "typing", "userId": "ann", "roomId": "den", "on": True},
            {"type": "read", "userId": "ann", "roomId": "den", "seq": 7},
        ]
        assert ann.hear() == cyd.hear() == []


@on_virtual_time
async def test_typing_expires_unless_repeated():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ben.send("typing_watch")
        for _ in range(3):
            await ann.send("typing")
            await server.advance(4)
        assert [message["on"] for message in ben.hear() if message["type"] == "typing"] == [True]
        await server.advance(3)
        assert ben.expect("typing")["on"] is False


@on_virtual_time
async def test_typing_ends_with_message_off_or_disconnect():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ben.send("typing_watch")
        await ann.send("typing")
        await ann.say("hello")
        await ann.send("typing")
        await ann.send("typing", on=False)
        await ann.send("typing")
        await ann.disconnect()
        received = [message.get("on", message["type"]) for message in ben.hear()]
        assert received == ["typing_watched", True, "chat_message", False, True, False, True, "user_left", False]


@on_virtual_time
async def test_read_position_never_moves_back():
    """A new subscriber receives the highest position."""
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        for seq in (5, 3, 9):
            await ann.send("read", seq=seq)
        await ben.send("typing_watch")
        assert ben.expect("typing_watched")["read"] == {"ann": 9}


@on_virtual_time
async def test_typing_and_read_are_not_stored():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="den")
        await ann.send("typing")
        await ann.send("read", seq=1)
        assert server._storage.states._spaces == {}
        await ann.send("history")
        assert ann.expect("history")["messages"] == []


@on_virtual_time
async def test_subscription_ends_with_membership():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ben.send("typing_watch")
        await ben.join("cafe")
        ben.hear()
        await ann.send("typing")
        assert ben.hear() == []
