"""`replay` closes the connection rather than skip messages that `joined` has not reported as lost."""

import anyio
import pytest

from chat_actors.chat import QueueOutbox
from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.outbox import Block
from chat_actors.chat.recovery import PAGE_MESSAGES, MissedRemoved, chat_message, replay
from chat_actors.protocol import encode
from chat_actors.storage import Append, Draft, MemoryJournal, Retention, StoredMessage
from tests.chat.rig import START

pytestmark = pytest.mark.anyio
LAST = 3 * PAGE_MESSAGES


class Reader(QueueOutbox):
    """Reads at once, and counts the messages."""

    def __init__(self, backlog_bytes):
        super().__init__(backlog_bytes)
        self.blocks = []

    @property
    def received(self):
        return sum(len(block.texts) for block in self.blocks)

    def offer(self, block):
        self.blocks.append(block)
        return True


class PrunedOnTheWay(MemoryJournal):
    """Keeps fewer messages after each page: the next number of `keep`."""

    def __init__(self, *keep):
        super().__init__(room_messages=10_000)
        self._keep = iter(keep)

    async def page(self, room_id, **where):
        page = await super().page(room_id, **where)
        if keep := next(self._keep, 0):
            await self.prune(Retention(keep_messages=keep), START)
        return page


async def replayed(journal, *, kept=LAST, lost=0):
    """How many messages a client receives, and whether some are lost on the way."""
    await journal.commit([Append("red", [Draft("zoe", str(n)) for n in range(LAST)])], START)
    while await journal.prune(Retention(keep_messages=kept), START):
        pass
    outbox = Reader(0)
    is_lost = await loses(journal, outbox, after=0, up_to=LAST, lost=lost)
    return outbox.received, is_lost


async def loses(journal, outbox, **where):
    try:
        await replay(journal, "red", outbox, HeldOutbox(outbox, 0), **where)
    except MissedRemoved:
        return True
    return False


async def test_replay_sends_all_that_is_kept():
    assert await replayed(PrunedOnTheWay()) == (LAST, False)
    assert await replayed(PrunedOnTheWay(), kept=LAST - 50, lost=50) == (LAST - 50, False)


async def test_replay_fails_at_a_gap_of_one():
    assert await replayed(PrunedOnTheWay(LAST - PAGE_MESSAGES - 1)) == (PAGE_MESSAGES, True)


async def test_replay_goes_on_without_a_gap():
    assert await replayed(PrunedOnTheWay(LAST - PAGE_MESSAGES)) == (LAST, False)


async def test_replay_fails_at_one_more_than_reported():
    assert await replayed(PrunedOnTheWay(), kept=LAST - 50, lost=49) == (0, True)


@pytest.mark.parametrize("removed", [1, 50])
async def test_replay_counts_later_losses_anew(removed):
    """A loss before the first page, which `joined` has reported, does not excuse a later one."""
    journal = PrunedOnTheWay(LAST - 50 - PAGE_MESSAGES - removed)
    assert await replayed(journal, kept=LAST - 50, lost=50) == (PAGE_MESSAGES, True)


async def test_replay_fails_when_all_the_rest_is_removed():
    class Emptied(PrunedOnTheWay):
        async def page(self, room_id, **where):
            page = await super().page(room_id, **where)
            self._rooms[room_id].messages.clear()
            return page

    assert await replayed(Emptied()) == (PAGE_MESSAGES, True)


async def journal_of(*contents):
    journal = MemoryJournal(room_messages=10_000)
    await journal.commit([Append("red", [Draft("zoe", content) for content in contents])], START)
    return journal


@pytest.mark.parametrize(("after", "lost", "is_lost"), [(0, 3, False), (0, 2, True), (2, 0, True)])
async def test_replay_compares_the_loss_at_its_end(after, lost, is_lost):
    """All messages are removed, also number 4, which the client receives live."""
    journal = await journal_of("1", "2", "3", "4")
    journal._rooms["red"].messages.clear()
    assert await loses(journal, Reader(0), after=after, up_to=3, lost=lost) == is_lost


async def test_replay_without_missed_messages_reads_nothing():
    reader = Reader(0)
    await replay(None, "red", reader, HeldOutbox(reader, 0), after=3, up_to=3, lost=0)


async def test_replay_ends_when_an_offer_is_refused():
    class Full(Reader):
        def offer(self, block):
            self.close(4008, "full")
            super().offer(block)
            return False

    outbox, journal = Full(0), await journal_of(*["x" * 1000] * 100)
    await replay(journal, "red", outbox, HeldOutbox(outbox, 0), after=0, up_to=100, lost=0)
    assert len(outbox.blocks) == 1


async def test_replay_ends_when_the_member_is_removed():
    class RemovedOnTheWay(Reader):
        def offer(self, block):
            held.discard()
            return super().offer(block)

    outbox, journal = RemovedOnTheWay(0), await journal_of(*["x" * 1000] * 100)
    held = HeldOutbox(outbox, 0)
    await replay(journal, "red", outbox, held, after=0, up_to=100, lost=0)
    assert len(outbox.blocks) == 1
    assert not held.offer(Block([b"live"]))


def size_on_the_wire(content):
    return len(encode(chat_message("red", StoredMessage(1, "zoe", content, START))))


@pytest.mark.parametrize(("more", "counts"), [(0, [2, 1]), (1, [1, 2])])
async def test_replay_fills_each_block_up_to_the_bound(more, counts):
    """The first two messages together have `BLOCK_BYTES` and `more`."""
    first, third = "x" * 40_000, "x"  # the three fit into one page of the journal
    second = "x" * (BLOCK_BYTES + more - size_on_the_wire(first) - size_on_the_wire(""))
    outbox = Reader(0)
    await replay(await journal_of(first, second, third), "red", outbox, HeldOutbox(outbox, 0), after=0, up_to=3, lost=0)
    assert [len(block.texts) for block in outbox.blocks] == counts


async def pause_of_replay(outbox):
    start = anyio.current_time()
    with anyio.fail_after(1000):
        await replay(await journal_of("1"), "red", outbox, HeldOutbox(outbox, 0), after=0, up_to=1, lost=0)
    return anyio.current_time() - start


@pytest.mark.parametrize(("backlog", "pauses"), [(BLOCK_BYTES, False), (BLOCK_BYTES + 1, True)])
async def test_replay_pauses_above_one_block(backlog, pauses):
    """A client that reads nothing is closed after a pause."""

    class Stuck(QueueOutbox):
        @property
        def backlog(self):
            return backlog

    outbox = Stuck(0)
    assert (await pause_of_replay(outbox) > 0) is pauses
    assert (outbox.closing is not None) is pauses


async def test_replay_waits_for_a_slow_steady_reader():
    """The client reads one byte every 20 s, and is not closed."""

    class Steady(QueueOutbox):
        @property
        def backlog(self):
            return BLOCK_BYTES + 5 - int((anyio.current_time() - start) / 20)

    start, outbox = anyio.current_time(), Steady(0)
    assert await pause_of_replay(outbox) == pytest.approx(100, abs=1)
    assert outbox.closing is None


async def test_replay_closes_a_reader_that_stops():
    """The client reads one byte after 20 s, then nothing for 30 s."""

    class Stopping(QueueOutbox):
        @property
        def backlog(self):
            return BLOCK_BYTES + (2 if anyio.current_time() - start < 20 else 1)

    start, outbox = anyio.current_time(), Stopping(0)
    assert await pause_of_replay(outbox) == pytest.approx(50, abs=1)
    assert outbox.closing.code == 4008
