"""Both journals keep their bounds exactly; the conformance suite leaves adapters some freedom there."""

import sqlite3
from datetime import timedelta

import pytest

from chat_actors.storage import (
    DEDUPE_SECONDS,
    PAGE_BYTES,
    PRUNE_STEP,
    Append,
    Extent,
    MemoryJournal,
    Retention,
    SqliteFile,
    SqliteJournal,
)
from chat_actors.storage.sqlite_journal import ROOMS_IN_A_STEP
from chat_actors.testing.storage.journal_parts import NOON, draft_with_id, drafts, fill, page_of, post, prune_all

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sqlite_journal(tmp_path):
    journal = SqliteJournal(await SqliteFile.open(tmp_path / "chat.db"))
    yield journal
    await journal.aclose()


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request, sqlite_journal):
    return sqlite_journal if request.param == "sqlite" else MemoryJournal(room_messages=100_000)


@pytest.mark.parametrize("where", [{"after": 0}, {}], ids=["oldest", "newest"])
@pytest.mark.parametrize(("excess", "count"), [(0, 2), (1, 1)])
async def test_page_holds_at_most_page_bytes(journal, where, excess, count):
    await post(journal, "x" * (PAGE_BYTES // 2), "x" * (PAGE_BYTES // 2 + excess))
    seqs, more = await page_of(journal, **where)
    assert (len(seqs), more) == (count, count < 2)


async def test_last_microsecond_stays_in_its_second(journal):
    appended = await post(journal, "x", at=NOON.replace(microsecond=999_999))
    assert appended.messages[0].at == NOON.replace(microsecond=999_000)


async def test_client_id_is_kept_for_dedupe_seconds(journal):
    batch = [Append("red", [draft_with_id("a", "m1")])]
    await journal.commit(batch, NOON)
    end = NOON + timedelta(seconds=DEDUPE_SECONDS)
    await prune_all(journal, Retention(), end)
    (again,) = await journal.commit(batch, end)
    assert not again.receipts[0].is_new


@pytest.mark.parametrize(
    "retention",
    [Retention(keep_messages=10), Retention(keep_days=1), Retention(2 * PRUNE_STEP - 100, keep_days=1)],
    ids=["number", "age", "both"],
)
async def test_prune_step_removes_prune_step_messages(journal, retention):
    await fill(journal, 2 * PRUNE_STEP)
    assert await journal.prune(retention, NOON + timedelta(days=2))
    assert await journal.extent("red") == Extent(PRUNE_STEP + 1, 2 * PRUNE_STEP)


async def test_prune_step_below_the_bound_is_the_last(journal):
    await fill(journal, PRUNE_STEP)
    assert not await journal.prune(Retention(keep_messages=1), NOON)
    assert await journal.extent("red") == Extent(PRUNE_STEP, PRUNE_STEP)


async def test_prune_begins_with_the_first_room(journal):
    """Also after steps without limits, which examine no room."""
    await fill(journal, 3)
    await prune_all(journal, Retention())
    await prune_all(journal, Retention(keep_messages=1))
    assert await journal.extent("red") == Extent(3, 3)


@pytest.mark.parametrize(("retention", "steps"), [(Retention(), 1), (Retention(keep_messages=1), 2)])
async def test_sqlite_prune_examines_rooms_once(sqlite_journal, retention, steps):
    names = [f"room-{n}" for n in range(2 * ROOMS_IN_A_STEP - 1)]
    await sqlite_journal.commit([Append(name, drafts("x")) for name in names], NOON)
    assert await prune_all(sqlite_journal, retention) == steps


async def test_sqlite_times_are_unix_milliseconds(sqlite_journal, tmp_path):
    """The format of existing files."""
    await post(sqlite_journal, "x")
    connection = sqlite3.connect(tmp_path / "chat.db")
    assert connection.execute("SELECT at FROM messages").fetchone() == (int(NOON.timestamp() * 1000),)
    connection.close()


async def test_memory_draft_without_id_has_no_receipt():
    """It does not displace the id of another draft."""
    journal = MemoryJournal(room_messages=2)
    first = [Append("red", [draft_with_id("a", "m1"), draft_with_id("b", "m2")])]
    await journal.commit(first, NOON)
    await post(journal, "c")
    (again,) = await journal.commit(first, NOON)
    assert [receipt.is_new for receipt in again.receipts] == [False, False]
