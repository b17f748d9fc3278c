"""The tools of a room kind: commands, timers, slow work, the store, and several room kinds in one room."""

import logging

import anyio
import msgspec
import pytest

from chat_actors import Command, Extension, Message, Refused, RoomKind, Scope, Service, command, events, handles
from chat_actors.chat import DuplicateRoomKind
from chat_actors.kernel import BadHandler
from chat_actors.testing import MemoryServer, on_virtual_time


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


class Add(Command, frozen=True, tag="add"):
    number: int = 1


class Total(Message, frozen=True, tag="total"):
    total: int


class AddLater(Command, frozen=True, tag="add_later"):
    seconds: float


class AddSlowly(Command, frozen=True, tag="add_slowly"):
    number: int


class Watch(Command, frozen=True, tag="watch"):
    pass


class Crash(Command, frozen=True, tag="crash"):
    pass


class Report(Command, frozen=True, tag="report"):
    pass


class Added(msgspec.Struct, frozen=True):
    number: int


class Books(Service):
    """A service for each room."""

    scope = Scope.ROOM

    async def on_start(self):
        self.added = await self.store.get("added", list[int], [])

    @handles
    async def note(self, added: Added) -> None:
        self.added.append(added.number)
        await self.store.put("added", self.added)

    @command()
    def report(self, caller, report: Report) -> Total:
        return Total(sum(self.added))


class Counter(RoomKind):
    rooms = "count-*"
    chosen_as = "counter"

    async def on_open(self):
        self.total = await self.store.get("total", int, 0)

    def state_for(self, user_id):
        return {"total": self.total, "creator": self.room.creator}

    @command()
    async def add(self, caller, add: Add) -> Total:
        if not add.number:
            raise Refused("nothing", "Add something.")
        await self.add_and_tell(add.number)
        self.room.service(Books, self.room.room_id).tell(Added(add.number))
        return Total(self.total)

    @command()
    def add_later(self, caller, later: AddLater) -> None:
        self.room.after(later.seconds, lambda: self.add_and_tell(1))

    @command()
    def add_slowly(self, caller, slowly: AddSlowly) -> None:
        async def work():
            await anyio.sleep(3)
            if slowly.number < 0:
                raise ValueError("not this")
            return slowly.number

        self.room.pipe(work, into=self.add_and_tell, failed=lambda error: self.room.tell_all(Total(-1)))

    @command()
    def watch(self, caller, watch: Watch) -> None:
        self.room.subscribe(caller)

    @command()
    def crash(self, caller, crash: Crash) -> None:
        raise ValueError("asked to crash")

    async def add_and_tell(self, number):
        self.total += number
        await self.store.put("total", self.total)
        self.room.tell_subscribers(Total(self.total))


COUNTER = Extension(name="counter", services=[Books], room_kinds=[Counter])


def totals(client):
    return [message["total"] for message in client.hear() if message["type"] == "total"]


def errors(client):
    return [(message["code"], message.get("id")) for message in client.hear() if message["type"] == "error"]


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
        heard = [message.get("content", message.get("total")) for message in ben.hear()]
        assert heard.count(1) == 1
        assert [one for one in heard if one != 1] == ["one", "two"]
        assert totals(ann) == [1]
        await ben.join("cafe")
        ben.hear()
        await ann.send("add")
        assert ben.hear() == []


@on_virtual_time
async def test_user_chooses_the_kind_of_a_new_room():
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


def test_duplicate_chosen_as_is_rejected():
    with pytest.raises(DuplicateRoomKind, match="'counter' is claimed by the extension 'counter' and by 'other'"):
        MemoryServer(
            COUNTER, Extension(name="other", room_kinds=[type("Other", (RoomKind,), {"chosen_as": "counter"})])
        )


@on_virtual_time
async def test_kinds_apply_in_the_order_of_their_extensions():
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
    from chat_actors import Where

    class Early(RoomKind):
        @command(where=Where.LOGGED_IN)
        def add(self, caller, add: Add) -> None:
            pass

    with pytest.raises(BadHandler, match="in a room at the earliest"):
        MemoryServer(Extension(name="early", room_kinds=[Early]))


@on_virtual_time
async def test_service_listens_to_events_and_posts():
    """It posts in a room without being a member."""

    class Greeter(Service):
        async def on_start(self):
            self.context.listen(events.UserJoined)

        @handles
        async def joined(self, event: events.UserJoined) -> None:
            if event.user_id != "bot:greeter":
                await self.say(event.room_id, f"hello {event.user_id}", name="greeter")

    async with MemoryServer(Extension(name="greeter", services=[Greeter])) as server:
        ann = await server.connect("ann")
        await ann.join("cafe")
        greeting = ann.expect("chat_message")
        assert (greeting["userId"], greeting["content"]) == ("bot:greeter", "hello ann")
        await ann.send("members")
        assert ann.expect("members")["members"] == ["ann"]
        await ann.send("history")
        assert [message["content"] for message in ann.expect("history")["messages"]] == ["hello ann"]


@on_virtual_time
async def test_unreadable_state_is_named():
    from chat_actors.chat import Store
    from chat_actors.chat.store import StateUnreadable
    from chat_actors.storage import MemoryStates

    states = MemoryStates()
    await Store(states, "x.Thing/cafe").put("thing", {"a": 1})
    with pytest.raises(StateUnreadable, match=r"the state 'thing' in 'x.Thing/cafe' cannot be read"):
        await Store(states, "x.Thing/cafe").get("thing", list[int], [])


@on_virtual_time
async def test_kind_posts_after_the_current_message():
    class Echo(RoomKind):
        rooms = "echo"

        async def on_post(self, user_id, content):
            self.room.say(f"echo: {content}", name="echo")
            return content

    async with MemoryServer(Extension(name="echo", room_kinds=[Echo])) as server:
        ann = await server.connect("ann", room="echo")
        await ann.say("one")
        await ann.say("two")
        posts = [(message["userId"], message["content"]) for message in ann.hear()]
        assert posts == [("ann", "one"), ("bot:echo", "echo: one"), ("ann", "two"), ("bot:echo", "echo: two")]


def test_shared_store_name_is_rejected():
    same = [type("Same", (RoomKind,), {"rooms": "*"}), type("Same", (RoomKind,), {"rooms": "a*"})]
    with pytest.raises(BadHandler, match="the extension 'twice' has two of this name, which would share a store"):
        MemoryServer(Extension(name="twice", room_kinds=same))


@pytest.mark.parametrize("since", [{}, {"since": 0}], ids=["new", "again"])
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


@on_virtual_time
async def test_unencodable_answer_does_not_crash_the_session():
    class Bad(Message, frozen=True, tag="bad"):
        thing: object

    class Broken(Service):
        @command()
        def add(self, caller, add: Add) -> Bad:
            return Bad("half \ud83d" if add.number else object())

    async with MemoryServer(Extension(name="broken", services=[Broken])) as server:
        ann = await server.connect("ann")
        for number in (0, 1):
            await ann.send("add", number=number, id="q")
            assert errors(ann) == [("internal_failure", "q")]
            await server.advance(1)
        assert ann.closing is None
