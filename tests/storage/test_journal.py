"""What every journal promises: one suite for all of them."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_actors.storage import (
    DEDUPE_SECONDS,
    PAGE_BYTES,
    PRUNE_STEP,
    Append,
    Draft,
    Extent,
    MemoryJournal,
    Missed,
    Page,
    Retention,
    SqliteFile,
    SqliteJournal,
    StorageError,
)

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request, tmp_path):
    if request.param == "memory":
        opened = MemoryJournal(room_messages=100_000)
    else:
        opened = SqliteJournal(await SqliteFile.open(tmp_path / "data" / "chat.db"))
    yield opened
    await opened.aclose()


def drafts(*contents, user="ann"):
    return [Draft(user, content) for content in contents]


async def say(journal, *contents, room="red", user="ann", at=NOON):
    (appended,) = await journal.commit([Append(room, drafts(*contents, user=user))], at)
    return appended


async def fill(journal, count, room="red", at=NOON):
    for start in range(0, count, 1000):
        await say(journal, *(str(n) for n in range(start + 1, min(start + 1000, count) + 1)), room=room, at=at)


async def page_of(journal, room="red", **where):
    page = await journal.page(room, **{"limit": 10, **where})
    return [message.seq for message in page.messages], page.more


async def prune_all(journal, retention, now=NOON):
    steps = 1
    while await journal.prune(retention, now):
        steps += 1
    return steps


# -- order, and what is stored --


async def test_what_is_stored_comes_back_as_it_was(journal):
    content = "ünï\x00cødé \U0001f600 \u202e"
    appended = await say(journal, content, user="Ann")
    (message,) = (await journal.page("red", limit=10)).messages
    assert [message] == list(appended.messages)
    assert (message.seq, message.user_id, message.content, message.at) == (1, "Ann", content, NOON)


async def test_messages_are_numbered_in_the_order_given_over_all_batches(journal):
    await say(journal, "1", "2", "3")
    answers = await journal.commit(
        [Append("red", drafts("4")), Append("blue", drafts("1")), Append("red", drafts("5"))], NOON
    )
    assert [[message.seq for message in answer.messages] for answer in answers] == [[4], [1], [5]]
    page = await journal.page("red", limit=10)
    assert [(message.seq, message.content) for message in page.messages] == [(n, str(n)) for n in range(1, 6)]


async def test_each_draft_has_its_receipt(journal):
    appended = await say(journal, "a", "b")
    assert [(receipt.seq, receipt.at, receipt.is_new) for receipt in appended.receipts] == [
        (1, NOON, True),
        (2, NOON, True),
    ]


async def test_rooms_are_told_apart_exactly(journal):
    await say(journal, "a", room="red")
    await say(journal, "b", room="Red")
    await say(journal, "c", room="réd")
    assert (await journal.page("Red", limit=10)).messages[0].content == "b"
    assert await journal.extent("RED") == Extent()


async def test_commits_that_overlap_leave_no_number_out_and_give_none_twice(journal):
    seqs = []

    async def write(user):
        for n in range(10):
            appended = await say(journal, str(n), user=user)
            seqs.append(appended.receipts[0].seq)

    async with anyio.create_task_group() as tasks:
        for n in range(8):
            tasks.start_soon(write, f"user-{n}")
    assert sorted(seqs) == list(range(1, 81))
    page = await journal.page("red", after=0, limit=100)
    for n in range(8):
        assert [m.content for m in page.messages if m.user_id == f"user-{n}"] == [str(k) for k in range(10)]


async def test_an_empty_append_stores_nothing(journal):
    assert list((await say(journal)).messages) == []
    assert await journal.extent("red") == Extent()


async def test_a_cancelled_commit_is_stored_as_a_whole_or_not_at_all(journal):
    with anyio.move_on_after(0):
        await journal.commit([Append("red", drafts("a", "b")), Append("blue", drafts("c"))], NOON)
    # The next one waits for whatever the cancelled one has begun.
    await say(journal, "next", room="green")
    assert ((await journal.extent("red")).last, (await journal.extent("blue")).last) in {(0, 0), (2, 1)}


async def test_a_closed_journal_says_so_and_may_be_closed_again(journal):
    await journal.aclose()
    await journal.aclose()
    for call in (
        say(journal, "x"),
        journal.page("red", limit=1),
        journal.extent("red"),
        journal.prune(Retention(), NOON),
    ):
        with pytest.raises(StorageError, match="closed"):
            await call


# -- pages --


async def test_a_room_without_messages_has_an_empty_page(journal):
    page = await journal.page("red", limit=10)
    assert (list(page.messages), page.more) == ([], False)
    assert await journal.missed("red", after=0, up_to=0) == Missed(0, 0)


async def test_pages_go_both_ways_and_say_whether_there_is_more(journal):
    await fill(journal, 25)
    assert await page_of(journal) == (list(range(16, 26)), True)
    assert await page_of(journal, before=16) == (list(range(6, 16)), True)
    assert await page_of(journal, before=6) == (list(range(1, 6)), False)
    assert await page_of(journal, before=11) == (list(range(1, 11)), False)
    assert await page_of(journal, after=0) == (list(range(1, 11)), True)
    assert await page_of(journal, after=15) == (list(range(16, 26)), False)
    assert await page_of(journal, after=25) == ([], False)
    assert await page_of(journal, before=1) == ([], False)
    assert await page_of(journal, after=10_000) == ([], False)
    assert await page_of(journal, before=10_000, limit=1) == ([25], True)


async def test_a_page_between_two_numbers_begins_at_the_older(journal):
    await fill(journal, 25)
    assert await page_of(journal, after=3, before=8) == ([4, 5, 6, 7], False)
    assert await page_of(journal, after=3, before=8, limit=2) == ([4, 5], True)
    assert await page_of(journal, after=7, before=8) == ([], False)
    assert await page_of(journal, after=8, before=3) == ([], False)


async def test_a_page_is_bounded_in_bytes_but_never_empty(journal):
    await say(journal, *("x" * (PAGE_BYTES // 3) for _ in range(7)))
    assert await page_of(journal, after=0) == ([1, 2, 3], True)
    assert await page_of(journal) == ([5, 6, 7], True)
    await say(journal, "\U0001f600" * PAGE_BYTES, "small")
    assert await page_of(journal, after=7) == ([8], True)
    assert await page_of(journal, before=9) == ([8], True)
    assert await page_of(journal, after=8) == ([9], False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12)), max_size=6),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 30),
    st.integers(1, 12),
)
def test_a_page_is_what_a_list_would_give(steps, after, before, limit):
    """`steps`: how many are said, then how many of the newest are kept."""
    memory = MemoryJournal()

    async def check(path):
        sqlite = SqliteJournal(await SqliteFile.open(path / "chat.db"))
        kept, last = [], 0
        for journal in (memory, sqlite):
            kept, last = [], 0
            for said, keep in steps:
                await say(journal, *map(str, range(said)))
                kept += range(last + 1, last + said + 1)
                last += said
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


# -- once --


def named(content, name, user="ann"):
    return Draft(user, content, name)


async def test_what_comes_again_under_its_name_is_not_stored_again(journal):
    (first,) = await journal.commit([Append("red", [named("hello", "m1"), named("world", "m2")])], NOON)
    (again,) = await journal.commit(
        [Append("red", [named("hello", "m1"), named("new", "m3"), named("world", "m2")])], NOON + timedelta(minutes=1)
    )
    assert [message.content for message in again.messages] == ["new"]
    assert [(receipt.seq, receipt.is_new) for receipt in again.receipts] == [(1, False), (3, True), (2, False)]
    assert again.receipts[0].at == first.receipts[0].at == NOON
    assert (await journal.extent("red")).last == 3


async def test_within_one_batch_as_well(journal):
    answers = await journal.commit(
        [Append("red", [named("a", "m1"), named("a", "m1")]), Append("red", [named("a", "m1")])], NOON
    )
    assert [[receipt.seq for receipt in answer.receipts] for answer in answers] == [[1, 1], [1]]
    assert [len(answer.messages) for answer in answers] == [1, 0]


async def test_a_name_is_known_for_its_user_in_its_room_alone(journal):
    answers = await journal.commit(
        [
            Append("red", [named("a", "m1"), named("a", "m1", "ben"), named("a", "M1")]),
            Append("blue", [named("a", "m1")]),
        ],
        NOON,
    )
    assert all(receipt.is_new for answer in answers for receipt in answer.receipts)


async def test_a_name_outlives_its_message_but_not_its_day(journal):
    await journal.commit([Append("red", [named("a", "m1")])], NOON)
    await fill(journal, 3)
    await prune_all(journal, Retention(keep_messages=1))
    almost = NOON + timedelta(seconds=DEDUPE_SECONDS - 1)
    await prune_all(journal, Retention(), almost)
    (again,) = await journal.commit([Append("red", [named("a", "m1")])], almost)
    assert (again.receipts[0].seq, again.receipts[0].is_new) == (1, False)
    await prune_all(journal, Retention(), NOON + timedelta(seconds=DEDUPE_SECONDS + 1))
    (again,) = await journal.commit([Append("red", [named("a", "m1")])], NOON + timedelta(days=2))
    assert again.receipts[0].is_new


async def test_names_are_forgotten_in_small_steps(journal):
    await journal.commit([Append("red", [named("a", f"m{n}") for n in range(PRUNE_STEP + 10)])], NOON)
    later = NOON + timedelta(days=2)
    await prune_all(journal, Retention(), later)
    (again,) = await journal.commit([Append("red", [named("a", f"m{n}") for n in range(PRUNE_STEP + 10)])], later)
    assert all(receipt.is_new for receipt in again.receipts)


# -- retention --


async def test_without_limits_everything_is_kept(journal):
    await fill(journal, 2000)
    assert await prune_all(journal, Retention(), NOON + timedelta(days=9999)) == 1
    assert await journal.extent("red") == Extent(1, 2000)


async def test_the_newest_of_each_room_are_kept(journal):
    await fill(journal, 30, room="red")
    await fill(journal, 5, room="blue")
    await prune_all(journal, Retention(keep_messages=10))
    assert await journal.extent("red") == Extent(21, 30)
    assert await journal.extent("blue") == Extent(1, 5)
    assert await page_of(journal, after=0) == (list(range(21, 31)), False)


async def test_what_is_older_is_removed_and_what_is_not_is_kept(journal):
    for day in range(10):
        await say(journal, str(day), at=NOON + timedelta(days=day))
    await prune_all(journal, Retention(keep_days=3), NOON + timedelta(days=9))
    assert await page_of(journal, after=0) == ([7, 8, 9, 10], False)
    await prune_all(journal, Retention(keep_days=0.5), NOON + timedelta(days=30))
    assert await page_of(journal, after=0) == ([], False)


async def test_a_room_whose_messages_are_all_gone_keeps_its_numbering(journal):
    await fill(journal, 5)
    await prune_all(journal, Retention(keep_days=1), NOON + timedelta(days=5))
    assert await journal.extent("red") == Extent(6, 5)
    assert (await say(journal, "new")).receipts[0].seq == 6


async def test_what_was_missed_is_told_truthfully(journal):
    await fill(journal, 30)
    await prune_all(journal, Retention(keep_messages=10))
    assert await journal.missed("red", after=25, up_to=30) == Missed(5, 0)
    assert await journal.missed("red", after=20, up_to=30) == Missed(10, 0)
    assert await journal.missed("red", after=19, up_to=30) == Missed(10, 1)
    assert await journal.missed("red", after=0, up_to=30) == Missed(10, 20)
    assert await journal.missed("red", after=0, up_to=10) == Missed(0, 10)
    assert await journal.missed("red", after=30, up_to=30) == Missed(0, 0)


async def test_a_step_of_pruning_is_small_and_commits_go_on_between(journal):
    await fill(journal, 3 * PRUNE_STEP)
    await fill(journal, PRUNE_STEP, room="blue")
    retention = Retention(keep_messages=10)
    removed = []
    before = 4 * PRUNE_STEP
    more = True
    while more:
        more = await journal.prune(retention, NOON)
        extents = [await journal.extent("red"), await journal.extent("blue")]
        left = sum(extent.last - extent.first + 1 for extent in extents)
        removed.append(before - left)
        before = left + 1
        await say(journal, "meanwhile")
    assert max(removed) <= PRUNE_STEP
    assert len(removed) >= 4
    await prune_all(journal, retention)
    assert await page_of(journal, room="blue", after=0, limit=100) == (
        list(range(PRUNE_STEP - 9, PRUNE_STEP + 1)),
        False,
    )


async def test_both_limits_hold_at_once(journal):
    await fill(journal, 20, at=NOON)
    await fill(journal, 20, at=NOON + timedelta(days=2))
    await prune_all(journal, Retention(keep_messages=30, keep_days=1), NOON + timedelta(days=2))
    assert await journal.extent("red") == Extent(21, 40)
    await prune_all(journal, Retention(keep_messages=5, keep_days=1), NOON + timedelta(days=2))
    assert await journal.extent("red") == Extent(36, 40)


async def test_many_rooms_are_pruned_in_rounds(journal):
    names = [f"room-{n}" for n in range(450)]
    await journal.commit([Append(name, drafts("1", "2", "3")) for name in names], NOON)
    await prune_all(journal, Retention(keep_messages=1))
    for name in names[::50]:
        assert await journal.extent(name) == Extent(3, 3)


async def test_a_memory_journal_is_bounded_and_numbers_go_on():
    journal = MemoryJournal(room_messages=3, rooms=2)
    await fill(journal, 10, room="red")
    assert await journal.extent("red") == Extent(8, 10)
    await say(journal, "x", room="blue")
    await say(journal, "x", room="green")
    assert (await journal.page("red", limit=10)) == Page([], more=False)
    assert (await say(journal, "back", room="red")).receipts[0].seq == 11
