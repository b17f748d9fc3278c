"""The journal writer fails, and only the journal knows whether the messages are stored."""

import anyio
import pytest

from chat_actors.chat.room_messages import PostAs
from chat_actors.kernel.testing import RunningSystem
from chat_actors.protocol import messages
from chat_actors.storage import StorageError
from tests.chat.rig import Boom, MemoryChat, SlowJournal, clients_in, contents, errors, room_of

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


class Unreliable(SlowJournal):
    """Stores messages and fails after `seconds`, if told to. Pages and receipts may be unreadable."""

    loses_answers = is_unreadable = False

    async def commit(self, batch, at):
        answers = await super().commit(batch, at)
        if self.loses_answers:
            await anyio.sleep(self.seconds)
            raise ValueError("a bug of the adapter")
        return answers

    async def page(self, room_id, **where):
        if self.is_unreadable:
            raise FULL
        return await super().page(room_id, **where)


@pytest.mark.parametrize("obstacle", ["none", "crash", "unreadable"])
async def test_post_with_unknown_outcome_is_accepted_if_stored(obstacle):
    """The room may crash while the append is in flight, or be unable to read the journal afterwards."""
    async with RunningSystem() as system:
        journal = Unreliable(seconds=0.5)
        ann, ben = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        room, refusals_of_bot = room_of(ann), []

        async def post_as_bot():
            refusals_of_bot.append(await room.ask(PostAs("zoe", "same"), timeout=20))

        journal.loses_answers, journal.is_unreadable = True, obstacle == "unreadable"
        ann.deliver(type="chat_message", content="first")
        for content, options in {"same": {}, "with an id": {"clientMsgId": "m1"}, "last": {}}.items():
            ann.deliver(type="chat_message", content=content, id=content, **options)
        system.start_task(post_as_bot)
        await anyio.sleep(0.8)
        if obstacle == "crash":
            room.tell(Boom())
        await anyio.sleep(0.7)
        journal.is_unreadable = False
        await anyio.sleep(4)
        journal.loses_answers = False
        ann.deliver(type="chat_message", content="after")
        await anyio.sleep(2)
        received = ann.hear()
        assert errors(received) == []
        assert contents(received) == contents(ben.hear())
        assert contents(received) == ["first", "same", "with an id", "last", "same", "after"]
        assert (await journal.extent("red")).last == 6
        assert [each.seq for each in received if isinstance(each, messages.Accepted)] == [3]
        assert refusals_of_bot == [None]


async def test_crash_after_a_failed_append_goes_on():
    """The writer fails in an unknown way, and the journal cannot be read either."""
    async with RunningSystem() as system:
        journal = Unreliable()
        ann, ben = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        journal.fail_with, journal.is_unreadable = ValueError("a bug of the adapter"), True
        ann.deliver(type="chat_message", content="lost", id="q")
        await anyio.sleep(0.03)
        journal.fail_with, journal.is_unreadable = None, False
        await anyio.sleep(5)
        ann.deliver(type="chat_message", content="kept")
        await anyio.sleep(1)
        received = ann.hear()
        assert errors(received) == [("not_stored", "q")]
        assert contents(received) == contents(ben.hear()) == ["kept"]
