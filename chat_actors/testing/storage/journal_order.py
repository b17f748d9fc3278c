"""Tests of the journal port: order, numbering, deduplication, and what survives a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from chat_actors.storage import (
    DEDUPE_SECONDS,
    PRUNE_STEP,
    Append,
    Extent,
    Journal,
    Missed,
    Retention,
    StorageError,
)
from chat_actors.testing.storage.conformance import Conformance
from chat_actors.testing.storage.journal_parts import (
    NOON,
    contents_of,
    draft_with_id,
    drafts,
    fill,
    page_of,
    post,
    prune_all,
)


class JournalOrder(Conformance[Journal]):
    """Order, numbering, deduplication, and what survives a restart."""

    async def _read(self, adapter: Journal) -> None:
        await adapter.extent("red")

    async def test_message_is_stored_unchanged(self, adapter: Journal) -> None:
        content = "ünï\x00cødé \U0001f600 \u202e"
        appended = await post(adapter, content, user="Ann")
        (message,) = (await adapter.page("red", limit=10)).messages
        assert [message] == list(appended.messages)
        assert (message.seq, message.user_id, message.content, message.at) == (1, "Ann", content, NOON)
        assert message.at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("content", [" \na\t ", "e\u0301", "x" * 70_000], ids=["spaces", "combining", "long"])
    async def test_content_is_neither_cut_nor_normalized(self, adapter: Journal, content: str) -> None:
        await post(adapter, content)
        assert [message.content for message in (await adapter.page("red", limit=1)).messages] == [content]

    async def test_times_are_in_whole_milliseconds(self, adapter: Journal) -> None:
        (answer,) = await adapter.commit(
            [Append("red", [draft_with_id("a", "m1")])], NOON + timedelta(microseconds=456)
        )
        (again,) = await adapter.commit([Append("red", [draft_with_id("a", "m1")])], NOON + timedelta(seconds=1))
        page = await adapter.page("red", limit=10)
        assert {answer.messages[0].at, answer.receipts[0].at, again.receipts[0].at, page.messages[0].at} == {NOON}

    async def test_numbers_follow_the_order_of_drafts(self, adapter: Journal) -> None:
        await post(adapter, "1", "2", "3")
        answers = await adapter.commit(
            [Append("red", drafts("4")), Append("blue", drafts("1")), Append("red", drafts("5"))], NOON
        )
        assert [[message.seq for message in answer.messages] for answer in answers] == [[4], [1], [5]]
        page = await adapter.page("red", limit=10)
        assert [(message.seq, message.content) for message in page.messages] == [(n, str(n)) for n in range(1, 6)]

    async def test_each_draft_has_its_receipt(self, adapter: Journal) -> None:
        appended = await post(adapter, "a", "b")
        assert [(receipt.seq, receipt.at, receipt.is_new) for receipt in appended.receipts] == [
            (1, NOON, True),
            (2, NOON, True),
        ]

    async def test_room_names_are_compared_exactly(self, adapter: Journal) -> None:
        await post(adapter, "a", room="red")
        await post(adapter, "b", room="Red")
        await post(adapter, "c", room="réd")
        assert (await adapter.page("Red", limit=10)).messages[0].content == "b"
        for unused in ("RED", "re\u0301d", "red "):
            assert await adapter.extent(unused) == Extent()

    async def test_room_names_may_be_long(self, adapter: Journal) -> None:
        """The protocol allows 128 characters."""
        long = 127 * "\U0001f600"
        await post(adapter, "a", room=long + "a")
        assert await adapter.extent(long + "a") == Extent(1, 1)
        assert await adapter.extent(long + "b") == Extent()

    async def test_overlapping_commits_number_without_gaps(self, adapter: Journal) -> None:
        seqs = []

        async def write(user: str) -> None:
            for n in range(10):
                appended = await post(adapter, str(n), user=user)
                seqs.append(appended.receipts[0].seq)

        async with anyio.create_task_group() as tasks:
            for n in range(8):
                tasks.start_soon(write, f"user-{n}")
        assert sorted(seqs) == list(range(1, 81))
        page = await adapter.page("red", after=0, limit=100)
        for n in range(8):
            assert [m.content for m in page.messages if m.user_id == f"user-{n}"] == [str(k) for k in range(10)]

    async def test_empty_append_stores_nothing(self, adapter: Journal) -> None:
        assert list((await post(adapter)).messages) == []
        assert await adapter.extent("red") == Extent()

    async def test_empty_batch_has_no_answers(self, adapter: Journal) -> None:
        assert list(await adapter.commit([], NOON)) == []

    async def test_closed_adapter_raises_storage_error(self, adapter: Journal) -> None:
        await adapter.aclose()
        await adapter.aclose()
        for call in (
            post(adapter, "x"),
            adapter.page("red", limit=1),
            adapter.extent("red"),
            adapter.missed("red", after=0, up_to=1),
            adapter.receipt("red", "ann", "m1"),
            adapter.prune(Retention(), NOON),
        ):
            with pytest.raises(StorageError, match="closed"):
                await call

    # -- deduplication --

    async def test_repeated_draft_is_stored_once(self, adapter: Journal) -> None:
        (first,) = await adapter.commit(
            [Append("red", [draft_with_id("hello", "m1"), draft_with_id("world", "m2")])], NOON
        )
        (again,) = await adapter.commit(
            [Append("red", [draft_with_id("hello", "m1"), draft_with_id("new", "m3"), draft_with_id("world", "m2")])],
            NOON + timedelta(minutes=1),
        )
        assert [message.content for message in again.messages] == ["new"]
        assert [(receipt.seq, receipt.is_new) for receipt in again.receipts] == [(1, False), (3, True), (2, False)]
        assert again.receipts[0].at == first.receipts[0].at == NOON
        assert (await adapter.extent("red")).last == 3

    async def test_repeated_draft_in_one_batch(self, adapter: Journal) -> None:
        answers = await adapter.commit(
            [
                Append("red", [draft_with_id("a", "m1"), draft_with_id("a", "m1")]),
                Append("red", [draft_with_id("a", "m1")]),
            ],
            NOON,
        )
        assert [[receipt.seq for receipt in answer.receipts] for answer in answers] == [[1, 1], [1]]
        assert [len(answer.messages) for answer in answers] == [1, 0]

    async def test_overlapping_repeats_are_stored_once(self, adapter: Journal) -> None:
        receipts = []

        async def write() -> None:
            (answer,) = await adapter.commit(
                [Append("red", [draft_with_id("a", "m1"), draft_with_id("b", "m2")])], NOON
            )
            receipts.append([(receipt.seq, receipt.is_new) for receipt in answer.receipts])

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(write)
        assert sorted(receipts) == [[(1, False), (2, False)]] * 9 + [[(1, True), (2, True)]]

    async def test_client_id_is_scoped_to_user_and_room(self, adapter: Journal) -> None:
        answers = await adapter.commit(
            [
                Append("red", [draft_with_id("a", "m1"), draft_with_id("a", "m1", "ben"), draft_with_id("a", "M1")]),
                Append("blue", [draft_with_id("a", "m1")]),
            ],
            NOON,
        )
        assert all(receipt.is_new for answer in answers for receipt in answer.receipts)

    async def test_client_id_outlives_its_message(self, adapter: Journal) -> None:
        """It is known for a day, also after retention has removed the message, and forgotten after that day."""
        await adapter.commit([Append("red", [draft_with_id("a", "m1")])], NOON)
        await fill(adapter, 3)
        await prune_all(adapter, Retention(keep_messages=1))
        almost = NOON + timedelta(seconds=DEDUPE_SECONDS - 1)
        await prune_all(adapter, Retention(), almost)
        (again,) = await adapter.commit([Append("red", [draft_with_id("a", "m1")])], almost)
        assert (again.receipts[0].seq, again.receipts[0].is_new) == (1, False)
        await prune_all(adapter, Retention(), NOON + timedelta(seconds=DEDUPE_SECONDS + 1))
        (again,) = await adapter.commit([Append("red", [draft_with_id("a", "m1")])], NOON + timedelta(days=2))
        assert again.receipts[0].is_new

    async def test_receipt_of_a_client_id_can_be_read(self, adapter: Journal) -> None:
        """It is that of a repeated commit. Reading it stores nothing."""
        assert await adapter.receipt("red", "ann", "m1") is None
        await adapter.commit([Append("red", [draft_with_id("a", "m0"), draft_with_id("a", "m1")])], NOON)
        receipt = await adapter.receipt("red", "ann", "m1")
        assert receipt is not None
        assert (receipt.seq, receipt.at, receipt.is_new) == (2, NOON, False)
        for room_id, user_id, client_msg_id in (("blue", "ann", "m1"), ("red", "ben", "m1"), ("red", "ann", "M1")):
            assert await adapter.receipt(room_id, user_id, client_msg_id) is None
        (again,) = await adapter.commit([Append("red", [draft_with_id("a", "m1")])], NOON + timedelta(minutes=1))
        assert again.receipts == [receipt]
        assert await adapter.extent("red") == Extent(1, 2)

    async def test_client_ids_are_forgotten_in_steps(self, adapter: Journal) -> None:
        """All of them, though there are more than one step removes."""
        await adapter.commit([Append("red", [draft_with_id("a", f"m{n}") for n in range(PRUNE_STEP + 10)])], NOON)
        later = NOON + timedelta(days=2)
        await prune_all(adapter, Retention(), later)
        (again,) = await adapter.commit(
            [Append("red", [draft_with_id("a", f"m{n}") for n in range(PRUNE_STEP + 10)])], later
        )
        assert all(receipt.is_new for receipt in again.receipts)

    # -- restarts --

    async def test_messages_survive_a_restart(self, adapter: Journal, tmp_path: Path) -> None:
        await adapter.commit(
            [Append("red", [draft_with_id("a", "m1"), draft_with_id("b", "m2")]), Append("blue", drafts("c"))], NOON
        )
        again = await self._reopened(adapter, tmp_path)
        assert (await contents_of(again, "red"), await contents_of(again, "blue")) == (["a", "b"], ["c"])
        assert await again.extent("red") == Extent(1, 2)
        (answer,) = await again.commit([Append("red", [draft_with_id("a", "m1"), draft_with_id("d", "m3")])], NOON)
        assert [(receipt.seq, receipt.is_new) for receipt in answer.receipts] == [(1, False), (3, True)]
        await again.aclose()

    async def test_removals_survive_a_restart(self, adapter: Journal, tmp_path: Path) -> None:
        """A restart neither brings removed messages back nor gives their numbers again."""
        await fill(adapter, 5)
        await fill(adapter, 5, room="blue", at=NOON + timedelta(days=5))
        await prune_all(adapter, Retention(keep_days=1), NOON + timedelta(days=5))
        again = await self._reopened(adapter, tmp_path)
        assert (await again.extent("red"), await again.extent("blue")) == (Extent(6, 5), Extent(1, 5))
        assert await page_of(again, after=0) == ([], False)
        assert await again.missed("red", after=2, up_to=5) == Missed(0, 3)
        assert (await post(again, "new")).receipts[0].seq == 6
        await again.aclose()
