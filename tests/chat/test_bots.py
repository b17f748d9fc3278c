"""Bots: members without a socket."""

import logging
from typing import ClassVar

import anyio
import pytest

from chat_actors.chat import Bot, Extension, Refused, RoomKind
from chat_actors.testing import MemoryServer, on_virtual_time


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


class Parrot(Bot):
    name = "parrot"
    rooms = ("cage",)
    heard: ClassVar = []

    async def on_start(self):
        self.heard.clear()

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
        self.heard.append(("joined", room_id, user_id))

    async def on_left(self, room_id, user_id):
        self.heard.append(("left", room_id, user_id))

    async def on_refused(self, room_id, code, text):
        self.heard.append(("refused", room_id, code))

    async def on_missed(self, room_id, count):
        self.heard.append(("missed", room_id, count))


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


def said(client):
    return [(message["userId"], message["content"]) for message in client.hear() if message["type"] == "chat_message"]


@on_virtual_time
async def test_a_bot_is_in_its_rooms_from_the_start_and_answers_under_a_name_of_its_own():
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.send("members")
        assert ann.expect("members")["members"] == ["bot:parrot", "ann"]
        await ann.say("hello")
        assert said(ann) == [("ann", "hello"), ("bot:parrot", "ann says hello")]


@on_virtual_time
async def test_no_user_can_have_the_name_of_a_bot():
    async with MemoryServer(PARROT) as server:
        client = await server.connect()
        await client.send("register", userId="bot:parrot", publicKey="any")
        assert client.expect("error")["message"] == "User ID must be 3-32 alphanumeric characters"


@on_virtual_time
async def test_a_bot_hears_who_comes_and_goes_but_neither_itself_nor_other_bots():
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
        assert Parrot.heard == [("joined", "cage", "ann"), ("left", "cage", "ann"), ("joined", "cage", "ben")]
        assert said(ben) == [("bot:other", "welcome ben")]


@on_virtual_time
async def test_a_bot_that_crashes_is_in_its_rooms_afterwards():
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.say("crash")
        await server.advance(1)
        await ann.say("still there?")
        assert said(ann)[-1] == ("bot:parrot", "ann says still there?")


@on_virtual_time
async def test_a_room_held_open_by_nobody_but_bots_closes_and_the_bot_has_left():
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
async def test_a_bot_leaves_a_room_when_it_wants_to():
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.say("go")
        assert ann.expect("user_left")["userId"] == "bot:parrot"


@on_virtual_time
async def test_a_bot_that_does_not_keep_up_is_told_how_much_it_missed_and_holds_up_nobody():
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        ann.send_nowait("chat_message", content="wait 10")
        for n in range(2000):
            ann.send_nowait("chat_message", content=str(n))
            await anyio.sleep(0.001)
        assert len(said(ann)) == 2001
        await server.advance(20)
        missed = [count for what, _, count in Parrot.heard if what == "missed"]
        echoed = len([1 for user_id, _ in said(ann) if user_id == "bot:parrot"])
        assert sum(missed) + echoed == 2000
        assert echoed >= 1000


@on_virtual_time
async def test_what_a_kind_of_room_refuses_a_bot_the_bot_is_told():
    async with MemoryServer(PARROT) as server:
        ann = await server.connect("ann", room="cage")
        await ann.say("come guarded-door")
        await ann.say("come guarded-hall")
        await server.settle()
        assert ("refused", "guarded-door", "no_bots") in Parrot.heard
        await ann.join("guarded-hall")
        await ann.say("hello")
        assert ("refused", "guarded-hall", "silence") in Parrot.heard
        await ann.send("members", roomId="guarded-door")
        assert ann.expect("members")["count"] == 0


@on_virtual_time
async def test_a_bot_goes_back_into_a_room_that_failed_for_good():
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
        assert said(ben)[-1] == ("bot:parrot", "ben says hello")


@pytest.mark.parametrize("name", ["", "no", "has space", "bot:x", "é" * 5])
def test_a_bot_needs_a_name_that_a_user_could_have(name):
    class Nameless(Bot):
        pass

    Nameless.name = name
    with pytest.raises(Exception, match="is no name of a bot"):
        MemoryServer(Extension(name="bad", services=[Nameless]))


@on_virtual_time
async def test_nothing_to_say_is_told_at_once():
    class Sayer(Bot):
        name = "sayer"

    async with MemoryServer(Extension(name="sayer", services=[Sayer])):
        bot = Sayer()
        bot.service_state = Sayer.make_state()
        bot.service_state.rooms["cage"] = None
        for content in ("", None, "half \ud83d"):
            with pytest.raises(ValueError, match=r"must be a text|surrogates"):
                bot.post("cage", content)
