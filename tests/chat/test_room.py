"""The room's turn: what waits in it goes out as one block, in one order for all."""

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.members import Member
from chat_actors.chat.room_messages import JoinRoom, LeaveRoom, PostToRoom
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import decode_message, messages
from tests.chat.rig import NO_LIMITS, Boom, FragileRoom, MemoryChat, people_in
from tests.chat.test_chat import room_of

pytestmark = pytest.mark.anyio
WIDE = msgspec.structs.replace(NO_LIMITS, backlog_bytes=0)


def blocks_for(client):
    """What waits in a client's outbox, block by block: the contents of chat messages, the kinds of others."""
    blocks = [[plain(text) for text in block.texts] for block in client.outbox._blocks]
    client.hear()
    return blocks


def plain(text):
    message = decode_message(text)
    return message.content if isinstance(message, messages.ChatMessage) else type(message).__name__


async def test_what_waits_in_one_turn_goes_out_as_one_block_for_each_member():
    async with RunningSystem() as system:
        people = await people_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(people[0])
        for n in range(10):
            room.tell(PostToRoom(people[n % 3].session, str(n)))
        await settle(system)
        for person in people:
            assert blocks_for(person) == [[str(n) for n in range(10)]]


@pytest.mark.parametrize("names", [("ann", "ben"), ("ann", "ben", "cyd")])
async def test_joins_and_leaves_keep_their_place_among_the_messages_of_a_turn(names):
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        people = await people_in(chat, "red", *names)
        dan = await chat.log_in("dan")
        room, ann = room_of(people[0]), people[0]
        room.tell(PostToRoom(ann.session, "before"))
        room.tell(JoinRoom(Member(dan.session, "dan", dan.outbox)))
        room.tell(PostToRoom(dan.session, "dan is here"))
        room.tell(LeaveRoom(dan.session))
        room.tell(PostToRoom(ann.session, "after"))
        await settle(system)
        for person in people:
            assert [plain for block in blocks_for(person) for plain in block] == [
                "before",
                "UserJoined",
                "dan is here",
                "UserLeft",
                "after",
            ]
        assert blocks_for(dan) == [["Joined"], ["dan is here"]]


@pytest.mark.parametrize("size", [1000, 30_000, BLOCK_BYTES - 200])
async def test_a_block_stays_within_its_bytes(size):
    async with RunningSystem() as system:
        chat = MemoryChat(system, WIDE)
        people = await people_in(chat, "red", "ann", "ben", "cyd")
        for n in range(50):
            room_of(people[0]).tell(PostToRoom(people[0].session, f"{n:>{size}}"))
        await settle(system)
        sizes = [block.size for block in people[1].outbox._blocks]
        assert max(sizes) <= BLOCK_BYTES
        assert len(sizes) < 50 or size > BLOCK_BYTES / 2
        assert [int(content) for block in blocks_for(people[1]) for content in block] == list(range(50))


async def test_a_message_over_the_bytes_of_a_block_goes_out_alone():
    async with RunningSystem() as system:
        chat = MemoryChat(system, WIDE)
        people = await people_in(chat, "red", "ann", "ben", "cyd")
        for content in ("small", "x" * BLOCK_BYTES, "also small"):
            room_of(people[0]).tell(PostToRoom(people[0].session, content))
        await settle(system)
        assert [[len(content) for content in block] for block in blocks_for(people[2])] == [[5], [BLOCK_BYTES], [10]]


async def test_those_who_vanish_together_are_told_of_together():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        people = await people_in(chat, "red", "ann", "ben", "cyd", *(f"gone-{n}" for n in range(20)))
        room_of(people[0]).tell(PostToRoom(people[0].session, "going?"))
        for person in people[3:]:
            person.session.stop()
        await settle(system)
        for person in people[:3]:
            blocks = blocks_for(person)
            assert [text for block in blocks for text in block] == ["going?", *20 * ["UserLeft"]]
            assert len(blocks) <= 5, "each end of a session is noticed in a turn of the loop's choice"


async def test_a_crash_in_the_middle_of_a_turn_loses_no_numbered_message_and_delivers_none_twice():
    async with RunningSystem() as system:
        people = await people_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(people[0])
        for n in range(10):
            room.tell(Boom() if n in (3, 7) else PostToRoom(people[n % 3].session, str(n)))
        await settle(system)
        heard = [[(message.seq, message.content) for message in person.hear()] for person in people]
        assert [content for _, content in heard[0]] == ["0", "1", "2", "4", "5", "6", "8", "9"]
        assert [seq for seq, _ in heard[0]] == sorted({seq for seq, _ in heard[0]})
        assert heard == [heard[0]] * 3
        assert system.statistics().restarts == 2


async def test_a_room_that_fails_for_good_hands_out_what_has_its_number_first():
    async with RunningSystem() as system:
        people = await people_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(people[0])
        for _ in range(5):
            room.tell(Boom())
        room.tell(PostToRoom(people[0].session, "the last word"))
        room.tell(Boom())
        await room.wait_stopped()
        await settle(system)
        for person in people:
            assert [text for block in blocks_for(person) for text in block] == ["the last word", "Error"]


async def test_a_room_that_is_stopped_while_it_is_down_hands_out_what_has_its_number():
    async with RunningSystem() as system:
        people = await people_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        room = room_of(people[0])
        room.tell(PostToRoom(people[0].session, "the last word"))
        room.tell(Boom())
        while not room._cell.actor.fan_out._pending:
            await checkpoint()
        room.stop()
        await room.wait_stopped()
        assert blocks_for(people[2])[0] == ["the last word"]


async def test_a_crash_on_a_delivery_is_told_to_its_sender_and_the_next_message_goes_through():
    class FailsOnBoom(FragileRoom):
        def take_post(self, message: PostToRoom) -> None:
            if message.content == "boom":
                raise ValueError("the room was asked to crash")
            super().take_post(message)

    async with RunningSystem() as system:
        ann, ben = await people_in(MemoryChat(system, room=FailsOnBoom), "red", "ann", "ben")
        for content in ("one", "boom", "two"):
            ann.deliver(type="chat_message", content=content)
        await settle(system)
        assert [text for block in blocks_for(ann) for text in block] == ["one", "Error", "two"]
        assert [text for block in blocks_for(ben) for text in block] == ["one", "two"]


@pytest.mark.parametrize("names", [("ann", "ben"), ("ann", "ben", "cyd")])
async def test_small_and_larger_rooms_behave_alike_to_their_members(names):
    async with RunningSystem() as system:
        people = await people_in(MemoryChat(system), "red", *names)
        for n in range(20):
            people[n % len(people)].deliver(type="chat_message", content=str(n))
            if n == 10:
                room_of(people[0]).tell(Boom())
        await settle(system)
        heard = [[message.content for message in person.hear()] for person in people]
        assert heard == [[str(n) for n in range(20)]] * len(people)
