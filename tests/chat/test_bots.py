"""Bots: members of rooms without a connection."""

from typing import ClassVar

import anyio
import pytest

from chat_actors.chat import Bot, Extension, Refused, RoomKind
from chat_actors.testing import MemoryServer, on_virtual_time


class Parrot(Bot):
    name = "parrot"
    rooms = ("cage",)
    received: ClassVar = []

    async def on_start(self):
        self.received.clear()

    async def on_message(self, room_id, message):
        match message.content.split():
            case ["crash"]:
                raise ValueError("asked to crash")
            case ["wait", seconds]:
                await anyio.sleep(float(seconds))
            case ["come", room]:
                self.join(room)
            case ["go"]:
                await self.leave(room_id)
            case _:
                self.post(room_id, f"{message.user_id} says {message.content}")

    async def on_joined(self, room_id, user_id):
        self.received.append(("joined", room_id, user_id))

    async def on_left(self, room_id, user_id):
        self.received.append(("left", room_id, user_id))

    async def on_refused(self, room_id, code, text):
        self.received.append(("refused", room_id, code))

    async def on_missed(self, room_id, count):
        self.received.append(("missed", room_id, count))


class Guarded(RoomKind):
    rooms = "guarded*"

    async def may_join(self, user_id):
        if user_id.startswith("bot:") and self.room.room_id == "guarded-door":
            raise Refused("no_bots", "No bots here.")

    async def on_post(self, user_id, content):
        if user_id.startswith("bot:"):
            raise Refused("silence", "Bots are silent here.")
        return content


PARROT = Extension(name="parrot", services=[Parrot], room_kinds=[Guarded])


def contents(client):
    return [(message["userId"], message["content"]) for message in client.hear() if message["type"] == "chat_message"]


@on_virtual_time
async def test_bot_joins_its_rooms_at_the_start():
    """It answers under its own member name."""
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.send("members")
        assert ann.expect("members")["members"] == ["bot:parrot", "ann"]
        await ann.say("hello")
        assert contents(ann) == [("ann", "hello"), ("bot:parrot", "ann says hello")]


@on_virtual_time
async def test_user_cannot_register_a_bot_name():
    async with MemoryServer(PARROT) as server:
        client = await server.connect()
        await client.send("register", userId="bot:parrot", publicKey="any")
        assert client.expect("error")["message"] == "User ID must be 3-32 alphanumeric characters"


@on_virtual_time
async def test_bot_is_notified_of_joins_and_leaves_of_users():
    """It receives neither its own join nor the joins of other bots."""

    class Other(Bot):
        name = "other"
        rooms = ("cage",)

        async def on_joined(self, room_id, user_id):
            self.post(room_id, f"welcome {user_id}")

    async with MemoryServer(PARROT, Extension(name="other", services=[Other])) as server:
        ann = await server.connect("ann", room="cage")
        await ann.disconnect()
        ben = await server.connect("ben")
        await ben.join("cage")
        assert Parrot.received == [("joined", "cage", "ann"), ("left", "cage", "ann"), ("joined", "cage", "ben")]
        assert contents(ben) == [("bot:other", "welcome ben")]


@on_virtual_time
async def test_bot_stays_in_its_rooms_after_a_crash():
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.say("crash")
        await server.advance(1)
        await ann.say("still there?")
        assert contents(ann)[-1] == ("bot:parrot", "ann says still there?")


@on_virtual_time
async def test_room_with_only_bots_closes():
    """A room that a bot does not hold open closes when its last user leaves; a held one stays open."""
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.say("come cafe")
        await ann.join("cafe")
        await ann.send("members")
        assert set(ann.expect("members")["members"]) == {"bot:parrot", "ann"}
        await ann.send("leave")
        await server.advance(60)
        await ann.send("members", roomId="cafe")
        assert ann.expect("members")["count"] == 0
        await ann.send("members", roomId="cage")
        assert ann.expect("members")["members"] == ["bot:parrot"]


@on_virtual_time
async def test_bot_leaves_a_room():
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.say("go")
        assert ann.expect("user_left")["userId"] == "bot:parrot"


@on_virtual_time
async def test_slow_bot_is_told_how_much_it_missed():
    """The other members still receive every message."""
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        ann.send_nowait("chat_message", content="wait 10")
        for n in range(2000):
            ann.send_nowait("chat_message", content=str(n))
            await anyio.sleep(0.001)
        assert len(contents(ann)) == 2001
        await server.advance(20)
        missed = [count for what, _, count in Parrot.received if what == "missed"]
        echoed = len([1 for user_id, _ in contents(ann) if user_id == "bot:parrot"])
        assert sum(missed) + echoed == 2000
        assert echoed >= 1000


@on_virtual_time
async def test_bot_is_notified_of_refusals():
    """A room kind refuses the bot's join in one room and its post in another."""
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.say("come guarded-door")
        await ann.say("come guarded-hall")
        await server.settle()
        assert ("refused", "guarded-door", "no_bots") in Parrot.received
        await ann.join("guarded-hall")
        await ann.say("hello")
        assert ("refused", "guarded-hall", "silence") in Parrot.received
        await ann.send("members", roomId="guarded-door")
        assert ann.expect("members")["count"] == 0


@on_virtual_time
async def test_bot_rejoins_a_room_that_failed():
    class Broken(RoomKind):
        rooms = "cage"

        async def on_post(self, user_id, content):
            if content == "break":
                raise ValueError("broken")
            return content

    async with MemoryServer(PARROT, Extension(name="broken", room_kinds=[Broken])) as server:
        ann = await server.connect("ann", room="cage")
        for _ in range(6):
            await ann.say("break")
            await server.advance(1)
        assert ann.expect("error")["code"] == "room_failed"
        await server.advance(5)
        ben = await server.connect("ben", room="cage")
        await ben.say("hello")
        assert contents(ben)[-1] == ("bot:parrot", "ben says hello")


@pytest.mark.parametrize("name", ["", "no", "has space", "bot:x", "é" * 5])
def test_bot_name_is_validated(name):
    class Nameless(Bot):
        pass

    Nameless.name = name
    with pytest.raises(Exception, match="is no name of a bot"):
        MemoryServer(Extension(name="bad", services=[Nameless]))


@on_virtual_time
async def test_bot_post_validates_the_content():
    class Sayer(Bot):
        name = "sayer"

    async with MemoryServer(Extension(name="sayer", services=[Sayer])):
        bot = Sayer()
        bot.service_state = Sayer.make_state()
        bot.service_state.rooms["cage"] = None
        for content in ("", None, "half \ud83d"):
            with pytest.raises(ValueError, match=r"must be a text|surrogates"):
                bot.post("cage", content)
