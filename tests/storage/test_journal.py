"""Both journals pass the conformance suite; a model checks their pages; the memory journal is bounded."""

import tempfile
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_actors.storage import Append, Extent, MemoryJournal, Missed, Page, Retention, SqliteFile, SqliteJournal
from chat_actors.testing.storage import JournalConformance
from chat_actors.testing.storage.journal_parts import NOON, draft_with_id, fill, page_of, post, prune_all
from tests.storage.sqlite_hooks import SqliteHooks


class TestMemoryJournal(JournalConformance):
    async def open(self, place):
        return MemoryJournal(room_messages=100_000)

    async def reopen(self, adapter, place):
        return None


class TestMemoryJournalOnTrio(TestMemoryJournal):
    backend = "trio"


class TestSqliteJournal(SqliteHooks, JournalConformance):
    make = SqliteJournal


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12)), max_size=6),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 30),
    st.integers(1, 12),
)
def test_pages_match_those_of_a_list(steps, after, before, limit):
    """`steps`: how many messages are posted, then how many of the newest are kept."""
    memory = MemoryJournal()

    async def check(path):
        sqlite = SqliteJournal(await SqliteFile.open(path / "chat.db"))
        kept, last = [], 0
        for journal in (memory, sqlite):
            kept, last = [], 0
            for count, keep in steps:
                await post(journal, *map(str, range(count)))
                kept += range(last + 1, last + count + 1)
                last += count
                await prune_all(journal, Retention(keep_messages=keep))
                kept = kept[-keep:] if keep else kept
            within = [n for n in kept if (after is None or n > after) and (before is None or n < before)]
            found = within[:limit] if after is not None else within[-limit:]
            assert await page_of(journal, after=after, before=before, limit=limit) == (found, len(found) < len(within))
            low, high = after or 0, 30 if before is None else before
            kept_between = len([n for n in kept if low < n <= high])
            ever = len([n for n in range(1, last + 1) if low < n <= high])
            assert await journal.missed("red", after=low, up_to=high) == Missed(kept_between, ever - kept_between)
        await sqlite.aclose()

    with tempfile.TemporaryDirectory() as folder:
        anyio.run(check, Path(folder))


@pytest.mark.anyio
async def test_memory_journal_is_bounded():
    journal = MemoryJournal(room_messages=3, rooms=2)
    await fill(journal, 10, room="red")
    assert await journal.extent("red") == Extent(8, 10)
    await post(journal, "x", room="blue")
    await post(journal, "x", room="green")
    assert (await journal.page("red", limit=10)) == Page([], more=False)
    assert (await post(journal, "back", room="red")).receipts[0].seq == 11


@pytest.mark.anyio
async def test_memory_journal_evicts_the_room_written_first():
    journal = MemoryJournal(rooms=2)
    for room in ("red", "blue", "red"):
        await post(journal, "x", room=room)
    assert (await journal.extent("red"), await journal.extent("blue")) == (Extent(1, 2), Extent(1, 1))
    await post(journal, "x", room="green")
    assert (await journal.extent("red"), await journal.extent("green")) == (Extent(1, 2), Extent(1, 1))
    assert (await journal.page("blue", limit=10)) == Page([], more=False)


@pytest.mark.anyio
async def test_memory_journal_keeps_as_many_receipts():
    journal = MemoryJournal(room_messages=3)
    await journal.commit([Append("red", [draft_with_id("a", f"m{n}") for n in range(5)])], NOON)
    (again,) = await journal.commit([Append("red", [draft_with_id("a", f"m{n}") for n in (2, 3, 4, 1, 0)])], NOON)
    assert [receipt.is_new for receipt in again.receipts] == [False, False, False, True, True]
