"""`replay` closes the connection rather than skip messages that `joined` has not reported as lost."""

import pytest

from chat_actors.chat import QueueOutbox
from chat_actors.chat.recovery import PAGE_MESSAGES, replay
from chat_actors.storage import Append, Draft, MemoryJournal, Retention
from tests.chat.rig import START

pytestmark = pytest.mark.anyio
LAST = 3 * PAGE_MESSAGES


class Reader(QueueOutbox):
    """Reads at once, and counts the messages."""

    received = 0

    def offer(self, block):
        self.received += len(block.texts)
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
    """How many messages a client receives, and the code with which it is closed."""
    await journal.commit([Append("red", [Draft("zoe", str(n)) for n in range(LAST)])], START)
    while await journal.prune(Retention(keep_messages=kept), START):
        pass
    outbox = Reader(0)
    await replay(journal, "red", outbox, after=0, up_to=LAST, lost=lost)
    return outbox.received, outbox.closing and outbox.closing.code


async def test_replay_sends_all_that_is_kept():
    assert await replayed(PrunedOnTheWay()) == (LAST, None)
    assert await replayed(PrunedOnTheWay(), kept=LAST - 50, lost=50) == (LAST - 50, None)


async def test_replay_closes_at_a_gap_of_one():
    assert await replayed(PrunedOnTheWay(LAST - PAGE_MESSAGES - 1)) == (PAGE_MESSAGES, 1012)


async def test_replay_goes_on_without_a_gap():
    assert await replayed(PrunedOnTheWay(LAST - PAGE_MESSAGES)) == (LAST, None)


async def test_replay_closes_at_one_more_than_reported():
    assert await replayed(PrunedOnTheWay(), kept=LAST - 50, lost=49) == (0, 1012)


@pytest.mark.parametrize("removed", [1, 50])
async def test_replay_counts_later_losses_anew(removed):
    """A loss before the first page, which `joined` has reported, does not excuse a later one."""
    journal = PrunedOnTheWay(LAST - 50 - PAGE_MESSAGES - removed)
    assert await replayed(journal, kept=LAST - 50, lost=50) == (PAGE_MESSAGES, 1012)


async def test_replay_closes_when_all_the_rest_is_removed():
    class Emptied(PrunedOnTheWay):
        async def page(self, room_id, **where):
            page = await super().page(room_id, **where)
            self._rooms[room_id].messages.clear()
            return page

    assert await replayed(Emptied()) == (PAGE_MESSAGES, 1012)
