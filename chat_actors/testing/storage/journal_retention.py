"""Tests of the journal port: retention, and the counts of missed messages."""

from __future__ import annotations

from datetime import timedelta

from chat_actors.storage import PRUNE_STEP, Append, Extent, Journal, Missed, Retention
from chat_actors.testing.storage.conformance import Conformance
from chat_actors.testing.storage.journal_parts import NOON, drafts, fill, page_of, post, prune_all


class JournalRetention(Conformance[Journal]):
    """Retention, and the counts of missed messages."""

    async def test_all_is_kept_without_limits(self, adapter: Journal) -> None:
        await fill(adapter, 2000)
        assert await prune_all(adapter, Retention(), NOON + timedelta(days=9999)) == 1
        assert await adapter.extent("red") == Extent(1, 2000)

    async def test_newest_messages_of_each_room_are_kept(self, adapter: Journal) -> None:
        await fill(adapter, 30, room="red")
        await fill(adapter, 5, room="blue")
        await prune_all(adapter, Retention(keep_messages=10))
        assert await adapter.extent("red") == Extent(21, 30)
        assert await adapter.extent("blue") == Extent(1, 5)
        assert await page_of(adapter, after=0) == (list(range(21, 31)), False)

    async def test_limits_of_zero_do_not_apply(self, adapter: Journal) -> None:
        """The number limits messages of any age, and the age limits any number of messages."""
        later = NOON + timedelta(days=400)
        await fill(adapter, 30, room="red")
        await fill(adapter, 30, room="blue", at=later)
        await prune_all(adapter, Retention(keep_messages=10), later)
        assert await adapter.extent("red") == Extent(21, 30)
        await prune_all(adapter, Retention(keep_days=1), later)
        assert (await adapter.extent("red"), await adapter.extent("blue")) == (Extent(31, 30), Extent(21, 30))

    async def test_older_messages_are_removed(self, adapter: Journal) -> None:
        for day in range(10):
            await post(adapter, str(day), at=NOON + timedelta(days=day))
        await prune_all(adapter, Retention(keep_days=3), NOON + timedelta(days=9))
        assert await page_of(adapter, after=0) == ([7, 8, 9, 10], False)
        await prune_all(adapter, Retention(keep_days=0.5), NOON + timedelta(days=30))
        assert await page_of(adapter, after=0) == ([], False)

    async def test_emptied_room_keeps_its_numbering(self, adapter: Journal) -> None:
        await fill(adapter, 5)
        await prune_all(adapter, Retention(keep_days=1), NOON + timedelta(days=5))
        assert await adapter.extent("red") == Extent(6, 5)
        assert (await post(adapter, "new")).receipts[0].seq == 6

    async def test_missed_counts_kept_and_lost(self, adapter: Journal) -> None:
        await fill(adapter, 30)
        await prune_all(adapter, Retention(keep_messages=10))
        assert await adapter.missed("red", after=25, up_to=30) == Missed(5, 0)
        assert await adapter.missed("red", after=20, up_to=30) == Missed(10, 0)
        assert await adapter.missed("red", after=19, up_to=30) == Missed(10, 1)
        assert await adapter.missed("red", after=0, up_to=30) == Missed(10, 20)
        assert await adapter.missed("red", after=0, up_to=10) == Missed(0, 10)
        assert await adapter.missed("red", after=30, up_to=30) == Missed(0, 0)

    async def test_missed_counts_no_unused_numbers(self, adapter: Journal) -> None:
        await fill(adapter, 5)
        assert await adapter.missed("red", after=3, up_to=1000) == Missed(2, 0)
        assert await adapter.missed("red", after=900, up_to=1000) == Missed(0, 0)
        assert await adapter.missed("red", after=4, up_to=2) == Missed(0, 0)
        assert await adapter.missed("blue", after=0, up_to=1000) == Missed(0, 0)

    async def test_prune_steps_are_small(self, adapter: Journal) -> None:
        """Commits continue between the steps."""
        await fill(adapter, 3 * PRUNE_STEP)
        await fill(adapter, PRUNE_STEP, room="blue")
        retention = Retention(keep_messages=10)
        removed = []
        before = 4 * PRUNE_STEP
        more = True
        while more:
            more = await adapter.prune(retention, NOON)
            extents = [await adapter.extent("red"), await adapter.extent("blue")]
            left = sum(extent.last - extent.first + 1 for extent in extents)
            removed.append(before - left)
            before = left + 1
            await post(adapter, "meanwhile")
        assert max(removed) <= PRUNE_STEP
        assert len(removed) >= 4
        await prune_all(adapter, retention)
        assert await page_of(adapter, room="blue", after=0, limit=100) == (
            list(range(PRUNE_STEP - 9, PRUNE_STEP + 1)),
            False,
        )

    async def test_prune_returns_to_rooms_that_grow(self, adapter: Journal) -> None:
        """Each round of pruning begins with the first room again."""
        names = [f"room-{n}" for n in range(450)]
        retention = Retention(keep_messages=2)
        for round_ in range(1, 4):
            await adapter.commit([Append(name, drafts("1", "2", "3")) for name in names], NOON)
            await prune_all(adapter, retention)
            for name in (names[0], names[199], names[200], names[449]):
                assert await adapter.extent(name) == Extent(3 * round_ - 1, 3 * round_)

    async def test_prune_returns_after_a_full_step(self, adapter: Journal) -> None:
        """A room that grows while a later one is pruned is pruned in the next round."""
        retention = Retention(keep_messages=10)
        await fill(adapter, 20, room="red")
        await fill(adapter, 2 * PRUNE_STEP, room="blue")
        assert await adapter.prune(retention, NOON)
        await fill(adapter, 20, room="red")
        await prune_all(adapter, retention)
        await prune_all(adapter, retention)
        assert await adapter.extent("red") == Extent(31, 40)
        assert await adapter.extent("blue") == Extent(2 * PRUNE_STEP - 9, 2 * PRUNE_STEP)

    async def test_both_limits_apply(self, adapter: Journal) -> None:
        await fill(adapter, 20, at=NOON)
        await fill(adapter, 20, at=NOON + timedelta(days=2))
        await prune_all(adapter, Retention(keep_messages=30, keep_days=1), NOON + timedelta(days=2))
        assert await adapter.extent("red") == Extent(21, 40)
        await prune_all(adapter, Retention(keep_messages=5, keep_days=1), NOON + timedelta(days=2))
        assert await adapter.extent("red") == Extent(36, 40)

    async def test_many_rooms_are_pruned(self, adapter: Journal) -> None:
        names = [f"room-{n}" for n in range(450)]
        await adapter.commit([Append(name, drafts("1", "2", "3")) for name in names], NOON)
        await prune_all(adapter, Retention(keep_messages=1))
        for name in names[::50]:
            assert await adapter.extent(name) == Extent(3, 3)
