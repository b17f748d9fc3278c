"""The members of a room: joins are announced once, and an empty room closes."""

import anyio
import pytest

from chat_actors.chat import events
from chat_actors.chat.room import CLOSE_CHECK_SECONDS
from chat_actors.chat.room_messages import JoinedRoom, JoinRoom, LeaveRoom, ListUsers
from chat_actors.kernel import handles
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import Refusal, messages
from tests.chat.rig import Boom, FragileRoom, MemoryChat, clients_in, errors, room_of, summaries

pytestmark = pytest.mark.anyio


def published(system, *event_types):
    seen = []
    for event_type in event_types:
        system.events.listen(event_type, seen.append)
    return seen


@pytest.mark.parametrize("request_id", [None, "q"])
async def test_join_with_an_id_is_answered_with_seq(request_id):
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        (ben,) = await clients_in(chat, "red", "ben")
        ben.deliver(type="chat_message", content="hello")
        await settle(system)
        (said,) = ben.hear()
        ann = await chat.log_in("ann")
        ann.deliver(type="join", userId="ann", roomId="red", **({"id": request_id} if request_id else {}))
        await settle(system)
        assert ann.hear() == [messages.joined("ann", "red", request_id, said.seq if request_id else None)]


async def test_events_of_joins_name_each_user_once():
    async with RunningSystem() as system:
        seen = published(system, events.UserJoined, events.UserLeft)
        first, second = await clients_in(MemoryChat(system), "red", "ann", "ann")
        first.disconnect()
        await settle(system)
        assert seen == [events.UserJoined("ann", "red")]
        second.disconnect()
        await settle(system)
        assert seen[1:] == [events.UserLeft("ann", "red")]


async def test_room_opened_is_published_once():
    """A restart does not publish it again."""
    async with RunningSystem() as system:
        seen = published(system, events.RoomOpened)
        (ann,) = await clients_in(MemoryChat(system), "red", "ann")
        room_of(ann).tell(Boom())
        await anyio.sleep(1)
        assert system.statistics().restarts == 1
        assert seen == [events.RoomOpened("red")]


@pytest.mark.parametrize(("names", "blocks"), [(("ann", "ben"), 3), (("ann", "ben", "cyd"), 1)])
async def test_large_room_batches_posts(names, blocks):
    """A room of two handles each post in the turn of its sender."""
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system), "red", *names)
        for n in range(3):
            clients[0].deliver(type="chat_message", content=str(n))
        assert [len(client.outbox._blocks) for client in clients] == [3 if blocks == 3 else 0] * len(names)
        await settle(system)
        assert [len(client.outbox._blocks) for client in clients] == [blocks] * len(names)


async def test_post_of_a_session_that_is_not_a_member():
    """Its client is notified that it is not in the room."""
    async with RunningSystem() as system:
        ann, ben = await clients_in(MemoryChat(system), "red", "ann", "ben")
        room_of(ann).tell(LeaveRoom(ann.session))
        ann.deliver(type="chat_message", content="hello", id="q")
        await settle(system)
        ann.deliver(type="chat_message", content="hello?", id="r")
        await settle(system)
        closed, *_ = ann.hear()
        assert (closed.code, closed.room_id) == ("room_closed", "red")
        assert errors(ann.received)[1:] == [("not_in_room", "q"), ("not_in_room", "r")]
        assert summaries(ben.hear()) == ["UserLeft"]


async def test_room_with_queued_messages_closes_later():
    """It stays open when its last member leaves, and closes at the next check."""
    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system), "red", "ann")
        room = room_of(ann)
        room.tell(LeaveRoom(ann.session))
        answer = await room.ask(ListUsers(), timeout=1)
        assert answer.count == 0
        assert not room.is_stopped
        await anyio.sleep(CLOSE_CHECK_SECONDS + 1)
        assert room.is_stopped


async def test_crash_after_a_join_leaves_no_member():
    """Neither the room nor the session has the member, and the client is notified."""

    class CrashesAfterJoin(FragileRoom):
        @handles
        async def join(self, request: JoinRoom) -> JoinedRoom | Refusal:
            answer = await super().join(request)
            if request.request_id == "crash":
                raise ValueError("the room was asked to crash")
            return answer

    async with RunningSystem() as system:
        chat = MemoryChat(system, room=CrashesAfterJoin)
        (ben,) = await clients_in(chat, "red", "ben")
        ann = await chat.log_in("ann")
        ann.deliver(type="join", userId="ann", roomId="red", id="crash")
        await anyio.sleep(1)
        ben.deliver(type="chat_message", content="hello")
        await settle(system)
        joined, error = ann.hear()
        assert isinstance(joined, messages.Joined)
        assert (error.code, error.room_id, error.request_id) == ("room_closed", "red", "crash")
        assert summaries(ben.hear()) == ["UserJoined", "UserLeft", "hello"]
        ann.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ann.hear()) == [("not_in_room", "r")]


async def test_crash_before_a_join_is_reported():
    class CrashesOnJoin(FragileRoom):
        @handles
        async def join(self, request: JoinRoom) -> JoinedRoom | Refusal:
            if request.request_id == "crash":
                raise ValueError("the room was asked to crash")
            return await super().join(request)

    async with RunningSystem() as system:
        chat = MemoryChat(system, room=CrashesOnJoin)
        (ben,) = await clients_in(chat, "red", "ben")
        ann = await chat.log_in("ann")
        ann.deliver(type="join", userId="ann", roomId="red", id="crash")
        await anyio.sleep(1)
        assert errors(ann.hear()) == [("room_closed", "crash")]
        assert ben.hear() == []
