"""The queries of a client when a room or the storage fails, and the size of a history page."""

import pytest

from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.recovery import chat_message
from chat_actors.chat.room_messages import ListUsers
from chat_actors.chat.room_queries import _fitting
from chat_actors.kernel import handles
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import encode
from chat_actors.storage import Append, Draft, StorageError, StoredMessage
from tests.chat.rig import START, FragileRoom, MemoryChat, SlowJournal, clients_in, errors

pytestmark = pytest.mark.anyio


async def ask(system, client, **command):
    client.deliver(**command)
    await settle(system)
    return client.hear()


async def test_crash_of_the_room_refuses_its_list():
    class Unlisted(FragileRoom):
        @handles
        def list_users(self, request: ListUsers):
            raise ValueError("the room was asked to crash")

    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system, room=Unlisted), "red", "ann")
        assert errors(await ask(system, ann, type="members", id="q")) == [("internal_failure", "q")]


async def test_storage_failure_refuses_the_history():
    class Unreadable(SlowJournal):
        async def page(self, room_id, **where):
            raise StorageError("read messages", "a test", "the disk fails", "replace it")

    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system, journal=Unreadable()), "red", "ann")
        assert errors(await ask(system, ann, type="history", id="q")) == [("internal_failure", "q")]


async def test_cut_history_says_that_there_is_more():
    """The page has all messages; the answer leaves out two of them, since escapes make them larger."""
    async with RunningSystem() as system:
        journal = SlowJournal()
        await journal.commit([Append("red", [Draft("zoe", "\x01" * 4000) for _ in range(4)])], START)
        (ann,) = await clients_in(MemoryChat(system, journal=journal), "red", "ann")
        (newest,) = await ask(system, ann, type="history")
        assert (newest.first, newest.last, newest.more) == (3, 4, True)
        (oldest,) = await ask(system, ann, type="history", after=0)
        assert (oldest.first, oldest.last, oldest.more) == (1, 2, True)


def message_of(size):
    """A chat message that takes `size` bytes of an answer, with its comma."""
    empty = chat_message("red", StoredMessage(1, "zoe", "", START))
    return chat_message("red", StoredMessage(1, "zoe", "x" * (size - 1 - len(encode(empty))), START))


@pytest.mark.parametrize(("sizes", "kept"), [((0, 1000), 2), ((1, 1000), 1), ((0, 1000, 200), 2), ((2000, 200), 1)])
def test_history_keeps_messages_up_to_the_bound(sizes, kept):
    """The first message has `BLOCK_BYTES - 1000` and the first of `sizes`."""
    found = [message_of(BLOCK_BYTES - 1000 + sizes[0]), *map(message_of, sizes[1:])]
    assert len(_fitting(found)) == kept
