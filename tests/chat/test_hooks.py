"""Hooks of services, bots and room kinds may be plain or async, with the same effect."""

import anyio
import anyio.lowlevel
import pytest

from chat_actors import Bot, Command, Extension, HttpResponse, Message, Refused, RoomKind, Service, command, endpoint
from chat_actors.testing import MemoryServer, on_virtual_time


class Peek(Command, frozen=True, tag="peek"):
    pass


class Seen(Message, frozen=True, tag="seen"):
    calls: list[str]


def hook(name, is_async, result=lambda *arguments: None):
    """A hook that records its call, and if it is async after a pause."""

    def plain(self, *arguments):
        self.calls.append(":".join((name, *map(str, arguments))))
        return result(*arguments)

    async def pausing(self, *arguments):
        await anyio.sleep(0.1)
        return plain(self, *arguments)

    return pausing if is_async else plain


def make_kind(**is_async):
    hooks = ("on_open", "may_join", "on_join", "on_leave", "state_for", "on_post", "on_posted")
    results = {"state_for": lambda user_id: user_id.upper(), "on_post": lambda user_id, content: content.upper()}

    @command()
    def peek(self, caller, request: Peek) -> Seen:
        return Seen(self.calls)

    class Recorder(RoomKind):
        rooms = "*"

        def __init__(self):
            self.calls = []

    Recorder.peek = peek
    for name in hooks:
        setattr(Recorder, name, hook(name, is_async.get(name, is_async["all"]), results.get(name, lambda *_: None)))
    return Extension(name="recorder", room_kinds=[Recorder])


@pytest.mark.parametrize("is_async", [{"all": False}, {"all": True}, {"all": False, "on_join": True}])
@on_virtual_time
async def test_room_kind_is_called_in_order(is_async):
    async with MemoryServer(make_kind(**is_async)) as server:
        ann = await server.connect("ann")
        await ann.join("den")
        assert ann.expect("joined")["state"] == {"recorder": "ANN"}
        ben = await server.connect("ben", room="den")
        await ben.say("hello")
        assert ben.expect("chat_message")["content"] == "HELLO"
        await ben.send("leave")
        await server.advance(1)
        await ann.send("peek")
        called = [call for call in ann.expect("seen")["calls"] if not call.startswith(("may_join:", "state_for:"))]
        assert called == [
            "on_open",
            "on_join:ann",
            "on_join:ben",
            "on_post:ben:hello",
            "on_posted:ben:HELLO",
            "on_leave:ben",
        ]


@on_virtual_time
async def test_async_on_leave_is_called_when_the_room_ends():
    left = []

    class Recorder(RoomKind):
        rooms = "*"

        async def on_leave(self, user_id):
            await anyio.sleep(0.1)
            left.append(user_id)

    async with MemoryServer(Extension(name="recorder", room_kinds=[Recorder])) as server:
        ann = await server.connect("ann", room="den")
        await ann.send("leave")
        await server.advance(1)
        assert left == ["ann"]


@on_virtual_time
async def test_failure_of_an_async_on_join_restarts_the_room():
    class Shy(RoomKind):
        rooms = "*"

        async def on_join(self, user_id):
            await anyio.lowlevel.checkpoint()
            if user_id == "ben":
                raise LookupError(user_id)

    async with MemoryServer(Extension(name="shy", room_kinds=[Shy])) as server:
        ann = await server.connect("ann", room="den")
        await server.connect("ben", room="den")
        await server.advance(5)
        await ann.say("still here")
        assert ann.expect("chat_message")["content"] == "still here"


@pytest.mark.parametrize("is_async", [False, True])
@on_virtual_time
async def test_may_stay_removes_a_user_after_a_crash(is_async):
    """The waiting `on_leave` of a removed user is called before `may_stay` is called for the next user."""

    class Door(RoomKind):
        rooms = "*"
        calls: list = []  # noqa: RUF012 - shared by all incarnations

        async def on_post(self, user_id, content):
            raise LookupError(content)

    def decide(user_id):
        if user_id == "ann":
            raise Refused("banned", "You are banned.")

    Door.may_stay = hook("may_stay", is_async, decide)
    Door.on_leave = hook("on_leave", is_async)
    async with MemoryServer(Extension(name="door", room_kinds=[Door])) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        ann.hear()
        await ben.say("crash")
        await server.advance(5)
        assert ann.expect("error")["code"] == "banned"
    calls = ["may_stay:ann", "on_leave:ann", "may_stay:ben"]
    assert Door.calls[:3] == calls if is_async else sorted(Door.calls[:3]) == sorted(calls)


@pytest.mark.parametrize("is_async", [False, True])
@on_virtual_time
async def test_bot_is_called_in_order(is_async):
    class Greeter(Bot):
        name = "greeter"
        rooms = ("den",)
        calls: list = []  # noqa: RUF012 - shared by all incarnations

    for name in ("on_start", "on_stop", "on_message", "on_joined", "on_left"):
        setattr(Greeter, name, hook(name, is_async))
    Greeter.calls.clear()
    async with MemoryServer(Extension(name="greeter", services=[Greeter])) as server:
        ann = await server.connect("ann", room="den")
        await ann.say("hello")
        await server.advance(1)
        await ann.send("leave")
        await server.advance(1)
    names = [call.partition(":")[0] for call in Greeter.calls]
    assert names == ["on_start", "on_joined", "on_message", "on_left", "on_stop"]


@on_virtual_time
async def test_result_of_a_plain_hook_is_ignored():
    class Echo(Bot):
        name = "echo"
        rooms = ("den",)

        def on_message(self, room_id, message):
            return self.post(room_id, message.content)

    async with MemoryServer(Extension(name="echo", services=[Echo])) as server:
        ann = await server.connect("ann", room="den")
        await ann.say("hello")
        await server.settle()
        assert [message["userId"] for message in ann.hear() if message["type"] == "chat_message"] == ["ann", "bot:echo"]


@pytest.mark.parametrize("is_async", [False, True])
@on_virtual_time
async def test_watching_service_is_notified(is_async):
    class Watcher(Service):
        calls: list = []  # noqa: RUF012

        @endpoint("POST", "/watch")
        def watch(self, request):
            self.context.watch(self.context.spawn(Service))
            self.context.children[0].stop()
            return HttpResponse(200)

    Watcher.on_terminated = hook("on_terminated", is_async)
    Watcher.calls.clear()
    async with MemoryServer(Extension(name="watcher", services=[Watcher])) as server:
        await server.http("POST", "/watcher/watch")
        await server.advance(1)
    assert len(Watcher.calls) == 1
