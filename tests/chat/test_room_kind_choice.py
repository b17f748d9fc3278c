"""Which room kinds a room has: by its name, by a user's choice, and several in one room."""

import pytest

from chat_actors import Extension, Refused, RoomKind
from chat_actors.chat import DuplicateRoomKind, InvalidDeclaration
from chat_actors.testing import MemoryServer, on_virtual_time
from tests.chat.counter_kind import COUNTER, errors, totals


@on_virtual_time
async def test_user_chooses_the_room_kind_of_a_new_room():
    async with MemoryServer(COUNTER) as server:
        ann, ben = await server.connect("ann"), await server.connect("ben")
        await ann.send("create_room", roomId="sheep", kind="counter")
        assert ann.expect("room_created")["kind"] == "counter"
        await ben.join("sheep")
        assert ben.expect("joined")["state"] == {"counter": {"total": 0, "creator": "ann"}}
        await ben.send("add")
        assert totals(ben) == [1]
        await server.restart()
        ben = await server.connect("ben")
        await ben.join("sheep")
        assert ben.expect("joined")["state"] == {"counter": {"total": 1, "creator": "ann"}}
        await ben.join("cafe")
        assert "state" not in ben.expect("joined")
        await ben.say("hello")
        assert ben.expect("chat_message")["content"] == "hello"


@on_virtual_time
async def test_visited_room_cannot_be_taken_over():
    """No message was said there, and it is empty. The server remembers it."""
    async with MemoryServer(COUNTER) as server:
        ben = await server.connect("ben", room="sheep")
        await ben.join("cafe")
        ann = await server.connect("ann")
        await ann.send("create_room", roomId="sheep", kind="counter")
        assert errors(ann) == [("room_exists", None)]
        await server.restart()
        ann = await server.connect("ann")
        await ann.send("create_room", roomId="sheep", kind="counter")
        assert errors(ann) == [("room_exists", None)]
        await ann.join("sheep")
        assert "state" not in ann.expect("joined")


def test_kinds_with_one_chosen_as_are_rejected():
    with pytest.raises(DuplicateRoomKind, match="'counter' is claimed by the extension 'counter' and by 'other'"):
        MemoryServer(
            COUNTER, Extension(name="other", room_kinds=[type("Other", (RoomKind,), {"chosen_as": "counter"})])
        )


@on_virtual_time
async def test_kinds_apply_in_extension_order():
    class Shouting(RoomKind):
        rooms = "*"

        async def on_post(self, user_id, content):
            return content.upper()

    class Polite(RoomKind):
        rooms = "*"

        async def may_join(self, user_id):
            if user_id == "eve":
                raise Refused("impolite", "Not you.")

        async def on_post(self, user_id, content):
            return f"{content}, please"

        def state_for(self, user_id):
            return "polite"

    shouting, polite = (Extension(name=kind.__name__.lower(), room_kinds=[kind]) for kind in (Shouting, Polite))
    async with MemoryServer(shouting, polite, COUNTER) as server:
        ann = await server.connect("ann")
        await ann.join("count-sheep")
        assert ann.expect("joined")["state"] == {"polite": "polite", "counter": {"total": 0, "creator": ""}}
        await ann.say("tea")
        assert ann.expect("chat_message")["content"] == "TEA, please"
        eve = await server.connect("eve")
        await eve.join("count-sheep")
        assert errors(eve) == [("impolite", None)]


def test_kinds_with_one_store_name_are_rejected():
    same = [type("Same", (RoomKind,), {"rooms": "*"}), type("Same", (RoomKind,), {"rooms": "a*"})]
    with pytest.raises(
        InvalidDeclaration, match="Same of the extension 'twice': there are two of this name, which would share a store"
    ):
        MemoryServer(Extension(name="twice", room_kinds=same))


@on_virtual_time
async def test_only_the_chosen_kind_has_a_creator():
    class Everywhere(RoomKind):
        rooms = "*"

        def state_for(self, user_id):
            return {"creator": self.room.creator}

    async with MemoryServer(Extension(name="everywhere", room_kinds=[Everywhere]), COUNTER) as server:
        ann = await server.connect("ann")
        await ann.send("create_room", roomId="sheep", kind="counter")
        await ann.join("sheep")
        assert ann.expect("joined")["state"] == {
            "everywhere": {"creator": ""},
            "counter": {"total": 0, "creator": "ann"},
        }


@on_virtual_time
async def test_room_with_members_cannot_be_created():
    """It has no messages yet."""
    async with MemoryServer(COUNTER) as server:
        ann, ben = await server.connect("ann"), await server.connect("ben", room="sheep")
        await ann.send("create_room", roomId="sheep", kind="counter", id="q")
        assert errors(ann) == [("room_exists", "q")]
        await ben.send("add", id="r")
        assert errors(ben) == [("not_in_this_room", "r")]


@on_virtual_time
async def test_kind_may_refuse_the_creator():
    class Guarded(RoomKind):
        rooms = "*"

        async def may_join(self, user_id):
            if user_id == "eve":
                raise Refused("not_you", "Not you.")

    async with MemoryServer(Extension(name="guarded", room_kinds=[Guarded]), COUNTER) as server:
        eve, ann = await server.connect("eve"), await server.connect("ann")
        await eve.send("create_room", roomId="sheep", kind="counter", id="q")
        assert errors(eve) == [("not_you", "q")]
        await ann.send("create_room", roomId="sheep", kind="counter")
        assert ann.expect("room_created")["kind"] == "counter"


@on_virtual_time
async def test_command_of_another_kind_is_refused():
    async with MemoryServer(Extension(name="plain", room_kinds=[type("Plain", (RoomKind,), {"rooms": "*"})]),
                            COUNTER) as server:  # fmt: skip
        ann = await server.connect("ann", room="cafe")
        await ann.send("add", id="q")
        assert errors(ann) == [("not_in_this_room", "q")]
