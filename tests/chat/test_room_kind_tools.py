"""The tools of a room kind: commands, timers, slow work, subscribers, the store and its own posts."""

import anyio
import pytest

from chat_actors import Extension, RoomKind, Where, command
from chat_actors.chat import InvalidDeclaration
from chat_actors.testing import MemoryServer, on_virtual_time
from tests.chat.counter_kind import COUNTER, Add, Books, Counter, errors, totals


@on_virtual_time
async def test_members_send_commands_to_their_room():
    async with MemoryServer(COUNTER) as server:
        ann = await server.connect("ann", room="count-sheep")
        await ann.send("add", number=3, id="q")
        assert ann.hear() == [{"type": "total", "total": 3, "id": "q"}]
        await ann.send("add", number=0, id="r")
        assert errors(ann) == [("nothing", "r")]


@on_virtual_time
async def test_command_is_refused_in_other_rooms():
    async with MemoryServer(Extension(name="plain", room_kinds=[type("Plain", (Counter,), {"chosen_as": ""})],
                                      services=[Books])) as server:  # fmt: skip
        ann = await server.connect("ann", room="cafe")
        await ann.send("add", id="q")
        assert errors(ann) == [("not_in_this_room", "q")]
        await ann.send("leave")
        ann.hear()
        await ann.send("add", id="q")
        assert errors(ann) == [("not_in_room", "q")]


@on_virtual_time
async def test_store_outlives_crash_and_restart():
    async with MemoryServer(COUNTER) as server:
        ann = await server.connect("ann", room="count-sheep")
        await ann.send("add", number=3)
        await ann.send("crash", id="q")
        assert errors(ann) == [("internal_failure", "q")]
        await server.advance(1)
        await ann.send("add", number=4)
        assert totals(ann) == [7]
        await server.restart()
        ann = await server.connect("ann", room="count-sheep")
        await ann.send("add", number=1)
        assert totals(ann) == [8]
        await ann.send("report")
        assert totals(ann) == [8]
        other = await server.connect("ann", room="count-goats")
        await other.send("add", number=1)
        assert totals(other) == [1]


@on_virtual_time
async def test_timers_and_piped_work_run_in_the_room():
    async with MemoryServer(COUNTER) as server:
        ann = await server.connect("ann", room="count-sheep")
        await ann.send("watch")
        await ann.send("add_later", seconds=10)
        ann.send_nowait("add_slowly", number=5)
        ann.send_nowait("add_slowly", number=-5)
        await anyio.sleep(2)
        assert totals(ann) == []
        await server.advance(2)
        assert totals(ann) == [5, -1]
        await server.advance(7)
        assert totals(ann) == [6]


@on_virtual_time
async def test_crash_cancels_timers_and_keeps_subscribers():
    async with MemoryServer(COUNTER) as server:
        ann = await server.connect("ann", room="count-sheep")
        await ann.send("watch")
        await ann.send("add_later", seconds=5)
        ann.send_nowait("add_slowly", number=5)
        ann.send_nowait("crash")
        await server.advance(20)
        assert totals(ann) == []
        await ann.send("add", number=2)
        assert totals(ann) == [2, 2]


@on_virtual_time
async def test_subscribers_receive_messages_in_order():
    """They receive them only while they are in the room."""
    async with MemoryServer(COUNTER) as server:
        ann, ben = await server.connect("ann", room="count-sheep"), await server.connect("ben", room="count-sheep")
        await ben.send("watch")
        ben.hear()
        ann.send_nowait("chat_message", content="one")
        ann.send_nowait("add")
        ann.send_nowait("chat_message", content="two")
        await server.settle()
        values = [message.get("content", message.get("total")) for message in ben.hear()]
        assert values.count(1) == 1
        assert [value for value in values if value != 1] == ["one", "two"]
        assert totals(ann) == [1]
        await ben.join("cafe")
        ben.hear()
        await ann.send("add")
        assert ben.hear() == []


@pytest.mark.parametrize("content", ["", None, 5, "half \ud83d"])
def test_invalid_content_from_a_kind_crashes_its_room(content):
    class Broken(RoomKind):
        rooms = "broken"

        async def on_post(self, user_id, posted):
            return content if posted == "break" else posted

    @on_virtual_time
    async def run():
        async with MemoryServer(Extension(name="broken", room_kinds=[Broken])) as server:
            ann, ben = await server.connect("ann", room="broken"), await server.connect("ben", room="cafe")
            await ann.say("break")
            assert errors(ann) == [("room_failed", None)]
            await server.advance(1)
            for client in (ann, ben):
                await client.say("hello")
                assert client.expect("chat_message")["content"] == "hello"

    run()


def test_kind_command_outside_rooms_is_rejected():
    class Early(RoomKind):
        rooms = "*"

        @command(where=Where.LOGGED_IN)
        def add(self, caller, add: Add) -> None:
            pass

    with pytest.raises(InvalidDeclaration, match="in a room at the earliest"):
        MemoryServer(Extension(name="early", room_kinds=[Early]))


@on_virtual_time
async def test_kind_posts_after_the_current_message():
    class Echo(RoomKind):
        rooms = "echo"

        async def on_posted(self, user_id, content):
            self.room.say(f"echo: {content}", name="echo")

    async with MemoryServer(Extension(name="echo", room_kinds=[Echo])) as server:
        ann = await server.connect("ann", room="echo")
        await ann.say("one")
        await ann.say("two")
        posts = [(message["userId"], message["content"]) for message in ann.hear()]
        assert posts == [("ann", "one"), ("bot:echo", "echo: one"), ("ann", "two"), ("bot:echo", "echo: two")]


@pytest.mark.parametrize("since", [{}, {"since": 0}], ids=["join", "rejoin"])
def test_state_that_is_not_json_refuses_the_join(since):
    class Stateful(RoomKind):
        rooms = "stateful"

        def state_for(self, user_id):
            return object() if user_id == "eve" else user_id

    @on_virtual_time
    async def run():
        async with MemoryServer(Extension(name="stateful", room_kinds=[Stateful])) as server:
            ann, eve = await server.connect("ann", room="stateful"), await server.connect("eve")
            await eve.send("join", userId="eve", roomId="stateful", **since)
            assert [code for code, _ in errors(eve)] == ["room_closed"]
            await server.advance(1)
            await ann.send("members")
            assert ann.expect("members")["members"] == ["ann"]

    run()
