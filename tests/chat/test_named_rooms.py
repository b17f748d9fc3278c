"""Extension commands of a session in several rooms: the room that they are about, and subscriptions."""

import msgspec
import pytest

from chat_actors.chat import (
    Caller,
    Enabled,
    Extension,
    Extensions,
    InvalidDeclaration,
    RoomKind,
    Scope,
    Service,
    Where,
    command,
)
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import ExtensionCommand, ExtensionMessage
from tests.chat.rig import MemoryChat
from tests.chat.test_several_rooms import exchange, in_rooms, log_in_as, removals, users_of

pytestmark = pytest.mark.anyio


class Guarded(RoomKind):
    """Removes a user on command, and refuses to admit the user then."""

    rooms = "den*"

    @command()
    def expel(self, caller: Caller, expel: "Expel") -> "Expelled":
        self.room.remove(expel.user_id, "expelled", "You are expelled.")
        return Expelled(self.room.room_id)


class Expel(ExtensionCommand, frozen=True, tag="expel"):
    user_id: str


class Expelled(ExtensionMessage, frozen=True, tag="expelled"):
    room_id: str


class FindRoom(ExtensionCommand, frozen=True, tag="find_room"):
    pass


class Elsewhere(ExtensionCommand, frozen=True, tag="elsewhere"):
    room_id: str


class Here(ExtensionMessage, frozen=True, tag="here"):
    room_id: str


class Compass(Service):
    @command(where=Where.LOGGED_IN)
    def find(self, caller: Caller, find_room: FindRoom) -> Here:
        return Here(caller.room_id)

    @command()
    def find_other(self, caller: Caller, elsewhere: Elsewhere) -> Here:
        return Here(f"{caller.room_id} {elsewhere.room_id}")


class Watch(ExtensionCommand, frozen=True, tag="watch"):
    pass


class Ring(ExtensionCommand, frozen=True, tag="ring"):
    pass


class Bell(Service):
    """Tells subscribers of one room."""

    scope = Scope.ROOM

    @command()
    def watch(self, caller: Caller, watch: Watch) -> None:
        self.subscribe(caller)

    @command()
    def ring(self, caller: Caller, ring: Ring) -> None:
        self.tell_subscribers(Here(caller.room_id))


class WatchAll(ExtensionCommand, frozen=True, tag="watch_all"):
    pass


class RingAll(ExtensionCommand, frozen=True, tag="ring_all"):
    pass


class Gong(Service):
    """Tells subscribers of the server."""

    had_subscribers = False

    @command()
    def watch(self, caller: Caller, watch: WatchAll) -> None:
        self.subscribe(caller)

    @command()
    def ring(self, caller: Caller, ring: RingAll) -> None:
        Gong.had_subscribers = self.has_subscribers
        self.tell_subscribers(Here("all"))


EXTENSIONS = Extensions([Enabled(Extension(name="guarded", room_kinds=[Guarded], services=[Compass, Bell, Gong]))])


async def answers(system, client, **sent):
    client.deliver(**sent)
    await settle(system)
    return [msgspec.json.decode(text) for text in client.outbox.take_all()]


async def test_room_kind_executes_the_command_of_the_named_room():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=EXTENSIONS)
        ann = await in_rooms(chat, "ann", "den-1", "den-2", "red")
        ben = await in_rooms(chat, "ben", "den-1", "den-2")
        ann.hear()
        expel = {"type": "expel", "userId": "ben", "id": "q"}
        assert (await answers(system, ann, **expel))[0]["code"] == "no_current_room"
        assert (await answers(system, ann, **expel, roomId="den-3"))[0]["code"] == "not_joined"
        assert (await answers(system, ann, **expel, roomId="red"))[0]["code"] == "not_in_this_room"
        assert {"type": "expelled", "id": "q", "roomId": "den-2"} in await answers(system, ann, **expel, roomId="den-2")
        assert removals(ben.hear()) == [("expelled", "den-2")]
        assert [await users_of(system, room) for room in ("den-1", "den-2")] == [["ann", "ben"], ["ann"]]


async def test_service_learns_the_named_room_or_the_current_room():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=EXTENSIONS)
        ann = await in_rooms(chat, "ann", "blue")
        find_room = {"type": "find_room", "id": "q"}
        assert await answers(system, ann, **find_room) == [{"type": "here", "id": "q", "roomId": ""}]
        assert await answers(system, ann, **find_room, roomId="blue") == [{"type": "here", "id": "q", "roomId": "blue"}]
        assert (await answers(system, ann, **find_room, roomId="red"))[0]["code"] == "not_joined"
        await exchange(system, ann, {"type": "join", "userId": "ann", "roomId": "red"})
        assert await answers(system, ann, **find_room) == [{"type": "here", "id": "q", "roomId": "red"}]


async def test_room_id_of_an_extensions_own_has_its_own_meaning():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=EXTENSIONS)
        ann = await in_rooms(chat, "ann", "blue")
        elsewhere = {"type": "elsewhere", "id": "q", "roomId": "blue"}
        assert await answers(system, ann, **elsewhere) == [{"type": "here", "id": "q", "roomId": " blue"}]
        await exchange(system, ann, {"type": "join", "userId": "ann", "roomId": "red"})
        assert await answers(system, ann, **elsewhere) == [{"type": "here", "id": "q", "roomId": "red blue"}]


def test_room_id_of_an_in_room_command_cannot_have_its_own_meaning():
    class Strange(Service):
        @command(where=Where.IN_ROOM)
        def find_other(self, caller: Caller, elsewhere: Elsewhere) -> Here:
            raise NotImplementedError

    with pytest.raises(InvalidDeclaration, match="room_id"):
        Extensions([Enabled(Extension(name="strange", services=[Strange]))])


async def heard(system, client):
    await settle(system)
    return [message for message in map(msgspec.json.decode, client.outbox.take_all()) if message["type"] == "here"]


async def test_subscription_to_a_rooms_service_ends_with_the_membership():
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=EXTENSIONS)
        ann, ben = await in_rooms(chat, "ann", "red", "blue"), await in_rooms(chat, "ben", "red", "blue")
        for room_id in ("red", "blue"):
            await answers(system, ann, type="watch", roomId=room_id)
        ann.deliver(type="leave", roomId="red")
        await heard(system, ann)
        for room_id in ("red", "blue"):
            ben.deliver(type="ring", roomId=room_id)
        assert await heard(system, ann) == [{"type": "here", "roomId": "blue"}]


async def test_subscription_ends_with_the_login():
    """The next user of the connection receives nothing of the earlier one's."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, extensions=EXTENSIONS)
        ann, ben = await chat.log_in("ann"), await chat.log_in("ben")
        await answers(system, ann, type="watch_all")
        ben.deliver(type="ring_all")
        assert len(await heard(system, ann)) == 1
        assert Gong.had_subscribers
        await log_in_as(system, ann, "ben")
        ben.deliver(type="ring_all")
        assert await heard(system, ann) == []
        assert not Gong.had_subscribers
        await answers(system, ann, type="watch_all")
        ben.deliver(type="ring_all")
        assert len(await heard(system, ann)) == 1
