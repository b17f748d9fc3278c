"""The room's turns: one block for each turn, in the same order for all members."""

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.members import Member
from chat_actors.chat.room_messages import JoinRoom, LeaveRoom, PostToRoom
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import decode_message, messages
from tests.chat.rig import NO_LIMITS, Boom, FragileRoom, MemoryChat, clients_in, room_of

pytestmark = pytest.mark.anyio
WIDE = msgspec.structs.replace(NO_LIMITS, content_chars=0, frame_bytes=0, backlog_bytes=0)


def blocks_for(client):
    """The blocks in a client's outbox: the contents of chat messages, and the class names of other messages."""
    blocks = [[plain(text) for text in block.texts] for block in client.outbox._blocks]
    client.hear()
    return blocks


def plain(text):
    message = decode_message(text)
    return message.content if isinstance(message, messages.ChatMessage) else type(message).__name__


async def test_messages_of_one_turn_are_one_block():
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(clients[0])
        for n in range(10):
            room.tell(PostToRoom(clients[n % 3].session, str(n)))
        await settle(system)
        for client in clients:
            assert blocks_for(client) == [[str(n) for n in range(10)]]


@pytest.mark.parametrize("names", [("ann", "ben"), ("ann", "ben", "cyd")])
async def test_joins_and_leaves_keep_their_place_in_a_turn(names):
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        clients = await clients_in(chat, "red", *names)
        dan = await chat.log_in("dan")
        room, ann = room_of(clients[0]), clients[0]
        room.tell(PostToRoom(ann.session, "before"))
        room.tell(JoinRoom(Member(dan.session, "dan", dan.outbox)))
        room.tell(PostToRoom(dan.session, "dan is here"))
        room.tell(LeaveRoom(dan.session))
        room.tell(PostToRoom(ann.session, "after"))
        await settle(system)
        for client in clients:
            assert [plain for block in blocks_for(client) for plain in block] == [
                "before",
                "UserJoined",
                "dan is here",
                "UserLeft",
                "after",
            ]
        assert blocks_for(dan) == [["Joined"], ["dan is here"]]


@pytest.mark.parametrize("size", [1000, 30_000, BLOCK_BYTES - 200])
async def test_block_stays_within_its_bound(size):
    async with RunningSystem() as system:
        chat = MemoryChat(system, WIDE)
        clients = await clients_in(chat, "red", "ann", "ben", "cyd")
        for n in range(50):
            room_of(clients[0]).tell(PostToRoom(clients[0].session, f"{n:>{size}}"))
        await settle(system)
        sizes = [block.size for block in clients[1].outbox._blocks]
        assert max(sizes) <= BLOCK_BYTES
        assert len(sizes) < 50 or size > BLOCK_BYTES / 2
        assert [int(content) for block in blocks_for(clients[1]) for content in block] == list(range(50))


async def test_message_larger_than_a_block_is_sent_alone():
    async with RunningSystem() as system:
        chat = MemoryChat(system, WIDE)
        clients = await clients_in(chat, "red", "ann", "ben", "cyd")
        for content in ("small", "x" * BLOCK_BYTES, "also small"):
            room_of(clients[0]).tell(PostToRoom(clients[0].session, content))
        await settle(system)
        assert [[len(content) for content in block] for block in blocks_for(clients[2])] == [[5], [BLOCK_BYTES], [10]]


async def test_simultaneous_disconnects_share_blocks():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        clients = await clients_in(chat, "red", "ann", "ben", "cyd", *(f"gone-{n}" for n in range(20)))
        room_of(clients[0]).tell(PostToRoom(clients[0].session, "going?"))
        for client in clients[3:]:
            client.session.stop()
        await settle(system)
        for client in clients[:3]:
            blocks = blocks_for(client)
            assert [text for block in blocks for text in block] == ["going?", *20 * ["UserLeft"]]
            assert len(blocks) <= 5, "each end of a session is noticed in a turn of the loop's choice"


async def test_crash_in_a_turn_keeps_numbered_messages():
    """Each is delivered once."""
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(clients[0])
        for n in range(10):
            room.tell(Boom() if n in (3, 7) else PostToRoom(clients[n % 3].session, str(n)))
        await settle(system)
        received = [[(message.seq, message.content) for message in client.hear()] for client in clients]
        assert [content for _, content in received[0]] == ["0", "1", "2", "4", "5", "6", "8", "9"]
        assert [seq for seq, _ in received[0]] == sorted({seq for seq, _ in received[0]})
        assert received == [received[0]] * 3
        assert system.statistics().restarts == 2


async def test_failed_room_delivers_numbered_messages():
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(clients[0])
        for _ in range(5):
            room.tell(Boom())
        room.tell(PostToRoom(clients[0].session, "the last word"))
        room.tell(Boom())
        await room.wait_stopped()
        await settle(system)
        for client in clients:
            assert [text for block in blocks_for(client) for text in block] == ["the last word", "Error"]


async def test_room_stopped_while_down_delivers_messages():
    """The room is stopped between a crash and its restart."""
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(clients[0])
        room.tell(PostToRoom(clients[0].session, "the last word"))
        room.tell(Boom())
        while not room._cell.actor.core.fan_out._pending:
            await checkpoint()
        room.stop()
        await room.wait_stopped()
        assert blocks_for(clients[2])[0] == ["the last word"]


async def test_crash_on_a_post_is_reported_to_its_sender():
    """The next message is delivered."""

    class FailsOnBoom(FragileRoom):
        def take_post(self, message: PostToRoom) -> None:
            if message.content == "boom":
                raise ValueError("the room was asked to crash")
            super().take_post(message)

    async with RunningSystem() as system:
        ann, ben = await clients_in(MemoryChat(system, room=FailsOnBoom), "red", "ann", "ben")
        for content in ("one", "boom", "two"):
            ann.deliver(type="chat_message", content=content)
        await settle(system)
        assert [text for block in blocks_for(ann) for text in block] == ["one", "Error", "two"]
        assert [text for block in blocks_for(ben) for text in block] == ["one", "two"]


@pytest.mark.parametrize("names", [("ann", "ben"), ("ann", "ben", "cyd")])
async def test_small_and_large_rooms_behave_alike(names):
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system), "red", *names)
        for n in range(20):
            clients[n % len(clients)].deliver(type="chat_message", content=str(n))
            if n == 10:
                room_of(clients[0]).tell(Boom())
        await settle(system)
        received = [[message.content for message in client.hear()] for client in clients]
        assert received == [[str(n) for n in range(20)]] * len(clients)
