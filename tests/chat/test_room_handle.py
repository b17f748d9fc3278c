"""The messages of a room kind to users and subscribers, and the users that it removes."""

import pytest

from chat_actors import Command, Message, RoomKind, command
from chat_actors.chat.room_messages import LeaveRoom
from chat_actors.kernel.testing import RunningSystem, settle
from tests.chat.rig import chat_of_kinds, clients_in, errors, room_of
from tests.chat.test_room_kinds import raw

pytestmark = pytest.mark.anyio


class Text(Message, frozen=True, tag="text"):
    text: str


class Tell(Command, frozen=True, tag="tell"):
    user: str


class TellOthers(Command, frozen=True, tag="tell_others"):
    pass


class Subscribe(Command, frozen=True, tag="subscribe"):
    pass


class Remove(Command, frozen=True, tag="remove"):
    user: str


class Teller(RoomKind):
    rooms = "*"

    async def on_post(self, user_id, content):
        return content

    @command()
    def tell(self, caller, tell: Tell) -> None:
        self.room.tell_all(Text("to all"))
        self.room.tell(tell.user, Text(f"to {tell.user}"))

    @command()
    def tell_others(self, caller, tell: TellOthers) -> None:
        self.room.tell_subscribers(Text("to others"), but=caller.user_id)

    @command()
    def subscribe(self, caller, subscribe: Subscribe) -> None:
        self.room.subscribe(caller)

    @command()
    def remove(self, caller, remove: Remove) -> None:
        self.room.remove(remove.user, "removed", "You were removed.")


def texts(client):
    return [message["text"] for message in raw(client) if message["type"] == "text"]


async def test_tell_reaches_each_connection_of_one_user():
    """They receive it after the earlier messages."""
    async with RunningSystem() as system:
        ann, ben, ben_too = await clients_in(chat_of_kinds(system, Teller), "red", "ann", "ben", "ben")
        ann.deliver(type="tell", user="ben")
        await settle(system)
        assert texts(ben) == texts(ben_too) == ["to all", "to ben"]
        assert texts(ann) == ["to all"]


async def test_subscribers_but_one_user_receive_a_message():
    async with RunningSystem() as system:
        ann, ben, cyd = await clients_in(chat_of_kinds(system, Teller), "red", "ann", "ben", "cyd")
        for client in (ann, ben):
            client.deliver(type="subscribe")
        await settle(system)
        ann.deliver(type="tell_others")
        await settle(system)
        assert [texts(client) for client in (ann, ben, cyd)] == [[], ["to others"], []]


async def test_subscription_ends_with_the_membership():
    """A member that joins again has to subscribe again."""
    async with RunningSystem() as system:
        ann, ben = await clients_in(chat_of_kinds(system, Teller), "red", "ann", "ben")
        ben.deliver(type="subscribe")
        ben.deliver(type="switch_room", roomId="blue")
        ben.deliver(type="switch_room", roomId="red")
        await settle(system)
        ann.deliver(type="tell_others")
        await settle(system)
        assert texts(ben) == []


async def test_removal_of_a_session_with_a_full_mailbox():
    """The room removes the member itself."""
    async with RunningSystem() as system:
        ann, ben = await clients_in(chat_of_kinds(system, Teller), "red", "ann", "ben")
        ann.hear()
        mailbox = ben.session._cell.mailbox
        mailbox.reserve(mailbox.capacity)
        ann.deliver(type="remove", user="ben")
        await settle(system)
        assert [message["type"] for message in raw(ann)] == ["user_left"]
        mailbox.release(mailbox.capacity)


async def test_removed_member_is_announced_once():
    async with RunningSystem() as system:
        ann, ben = await clients_in(chat_of_kinds(system, Teller), "red", "ann", "ben")
        ann.hear()
        ann.deliver(type="remove", user="ben")
        await settle(system)
        assert [message["type"] for message in raw(ann)] == ["user_left"]
        assert errors(ben.hear()) == [("removed", None)]


@pytest.mark.parametrize("request_", [{"type": "chat_message", "content": "hello"}, {"type": "subscribe"}])
async def test_request_of_a_session_that_is_not_a_member(request_):
    """It changes nothing, and does not crash the room."""
    async with RunningSystem() as system:
        ann, ben = await clients_in(chat_of_kinds(system, Teller), "red", "ann", "ben")
        ben.hear()
        room_of(ann).tell(LeaveRoom(ann.session))
        ann.deliver(**request_, id="q")
        await settle(system)
        expected = [("room_closed", None)] if "content" in request_ else []
        assert errors(ann.hear()) == [*expected, ("not_in_room", "q")]
        assert [message["type"] for message in raw(ben)] == ["user_left"]
        assert system.statistics().failures == 0
