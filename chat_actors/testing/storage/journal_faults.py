"""Tests of the journal port: cancellation and failure at every step, and reads beside a commit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import pytest

from chat_actors.storage import Append, Appended, Extent, Journal, Missed, Retention, StorageError
from chat_actors.testing.storage.conformance import MAX_STEPS, Conformance
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
from chat_actors.testing.storage.steps import hold_at

RETENTION = Retention(keep_messages=3)


def batch(step: int) -> Sequence[Append]:
    """One batch for three rooms that no other step uses."""
    return [
        Append(f"red-{step}", [draft_with_id("a", "m1"), draft_with_id("b", "m2")]),
        Append(f"blue-{step}", [draft_with_id("c", "m1")]),
        Append(f"green-{step}", drafts("d")),
    ]


def novelty(answers: Sequence[Appended]) -> set[bool]:
    """Whether the drafts that have a `client_msg_id` were new."""
    return {receipt.is_new for answer in answers[:2] for receipt in answer.receipts}


class JournalFaults(Conformance[Journal]):
    """Cancellation and failure at every step, and reads beside a commit."""

    async def _lasts(self, adapter: Journal, step: int) -> tuple[int, int, int]:
        red, blue, green = [(await adapter.extent(append.room_id)).last for append in batch(step)]
        return red, blue, green

    async def _read_all(self, adapter: Journal) -> None:
        """Each read of the port, in a room of five messages."""
        assert await adapter.extent("red") == Extent(1, 5)
        assert await page_of(adapter) == ([1, 2, 3, 4, 5], False)
        assert await page_of(adapter, after=3) == ([4, 5], False)
        assert await adapter.missed("red", after=3, up_to=5) == Missed(2, 0)

    # -- cancellation --

    async def test_cancelled_commit_is_all_or_nothing(self, adapter: Journal) -> None:
        """The call is cancelled at each of its suspensions in turn; a retry stores the missing messages, each once."""

        async def check(step: int) -> None:
            await post(adapter, "next", room="other")  # waits for what the cancelled call has begun
            lasts = await self._lasts(adapter, step)
            assert lasts in {(0, 0, 0), (2, 1, 1)}, "half of a cancelled batch is stored"
            answers = await adapter.commit(batch(step), NOON)
            assert novelty(answers) == {lasts == (0, 0, 0)}
            assert [[receipt.seq for receipt in answer.receipts] for answer in answers[:2]] == [[1, 2], [1]]
            assert await contents_of(adapter, f"red-{step}") == ["a", "b"]
            assert await contents_of(adapter, f"blue-{step}") == ["c"]

        await self._cancel_at_every_step(lambda step: adapter.commit(batch(step), NOON), check)

    async def test_retry_of_a_cancelled_commit(self, adapter: Journal) -> None:
        """The retry follows at once, while the cancelled call may still be at work."""

        async def check(step: int) -> None:
            assert len(novelty(await adapter.commit(batch(step), NOON))) == 1, "half of a batch was stored"
            assert await contents_of(adapter, f"red-{step}") == ["a", "b"]
            assert await contents_of(adapter, f"blue-{step}") == ["c"]

        await self._cancel_at_every_step(lambda step: adapter.commit(batch(step), NOON), check)

    async def test_cancelled_commit_beside_others(self, adapter: Journal) -> None:
        """One of several overlapping commits is cancelled; the others are stored as a whole."""
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(adapter.commit, batch(1), NOON)
                scope.cancel()
        async with anyio.create_task_group() as tasks:
            for step in range(2, 12):
                tasks.start_soon(adapter.commit, batch(step), NOON)
        assert await self._lasts(adapter, 1) in {(0, 0, 0), (2, 1, 1)}
        assert [await self._lasts(adapter, step) for step in range(2, 12)] == [(2, 1, 1)] * 10

    async def test_cancelled_prune_leaves_it_usable(self, adapter: Journal) -> None:
        """The call is cancelled at each of its suspensions in turn; a later step removes the rest."""
        await fill(adapter, 10)

        async def check(step: int) -> None:
            await prune_all(adapter, RETENTION)
            last = 10 * step
            assert await adapter.extent("red") == Extent(last - 2, last)
            assert await page_of(adapter, after=0) == ([last - 2, last - 1, last], False)
            await fill(adapter, 10)

        await self._cancel_at_every_step(lambda _: adapter.prune(RETENTION, NOON), check)

    async def test_cancelled_reads_leave_it_usable(self, adapter: Journal) -> None:
        await fill(adapter, 5)

        async def check(_: int) -> None:
            await self._read_all(adapter)

        await self._cancel_at_every_step(lambda _: adapter.extent("red"), check)
        await self._cancel_at_every_step(lambda _: adapter.page("red", limit=10), check)
        await self._cancel_at_every_step(lambda _: adapter.missed("red", after=0, up_to=5), check)

    # -- failures of the backend --

    async def test_failed_commit_changes_nothing(self, adapter: Journal) -> None:
        """The backend fails at each access in turn; a later commit works."""

        async def check(step: int) -> None:
            assert await self._lasts(adapter, step) == (0, 0, 0)
            answers = await adapter.commit(batch(step), NOON)
            assert novelty(answers) == {True}
            assert await self._lasts(adapter, step) == (2, 1, 1)

        await self._fail_at_every_step(adapter, lambda step: adapter.commit(batch(step), NOON), check)

    async def test_failed_prune_changes_nothing(self, adapter: Journal) -> None:
        await fill(adapter, 10)

        async def check(_: int) -> None:
            assert await adapter.extent("red") == Extent(1, 10)
            assert await page_of(adapter, after=0) == (list(range(1, 11)), False)
            await post(adapter, "x", room="other")

        await self._fail_at_every_step(adapter, lambda _: adapter.prune(RETENTION, NOON), check)
        assert await adapter.extent("red") == Extent(8, 10)

    async def test_failed_reads_raise_storage_error(self, adapter: Journal) -> None:
        await fill(adapter, 5)

        async def check(_: int) -> None:
            await self._read_all(adapter)

        await self._fail_at_every_step(adapter, lambda _: adapter.extent("red"), check)
        await self._fail_at_every_step(adapter, lambda _: adapter.page("red", limit=10), check)
        await self._fail_at_every_step(adapter, lambda _: adapter.missed("red", after=0, up_to=5), check)

    # -- reads beside a commit, and closing beside one --

    async def test_reads_do_not_wait_for_a_commit(self, adapter: Journal) -> None:
        """The commit stops after each of its suspensions in turn; reads end, and see none or all of its batch."""
        await fill(adapter, 5)
        for step in range(1, MAX_STEPS):

            async def meanwhile(step: int = step) -> None:
                with self._read_deadline():
                    await self._read_all(adapter)
                    assert await self._lasts(adapter, step) in {(0, 0, 0), (2, 1, 1)}, "half of a batch can be read"

            if not await hold_at(step, adapter.commit(batch(step), NOON), meanwhile):
                return
        pytest.fail(f"the commit suspends more than {MAX_STEPS} times")

    async def test_reads_do_not_wait_for_the_backend(self, adapter: Journal) -> None:
        """Commits wait for a backend that writes slowly; reads do not."""
        await fill(adapter, 5)
        holding = self.hold_writes(adapter)
        if holding is None:
            pytest.skip("writes of this adapter cannot be held (hold_writes returns None)")
        async with anyio.create_task_group() as tasks, holding:
            tasks.start_soon(adapter.commit, batch(1), NOON)
            await anyio.wait_all_tasks_blocked()
            with self._read_deadline():
                await self._read_all(adapter)
            assert await self._lasts(adapter, 1) == (0, 0, 0), "hold_writes let a commit end"
        assert await self._lasts(adapter, 1) == (2, 1, 1)

    @contextlib.contextmanager
    def _read_deadline(self) -> Iterator[None]:
        with anyio.move_on_after(self.read_seconds) as scope:
            yield
        assert not scope.cancelled_caught, f"a read waited more than {self.read_seconds} s for a commit"

    async def test_close_beside_commits(self, adapter: Journal, tmp_path: Path) -> None:
        """Each commit ends, or raises `StorageError`; what has been answered is there after a restart."""
        stored = set()

        async def commit(step: int) -> None:
            try:
                await adapter.commit(batch(step), NOON)
            except StorageError:
                return
            stored.add(step)

        async with anyio.create_task_group() as tasks:
            for step in range(20):
                tasks.start_soon(commit, step)
            tasks.start_soon(adapter.aclose)
            for step in range(20, 40):
                tasks.start_soon(commit, step)
        again = await self._reopened(adapter, tmp_path)
        for step in range(40):
            lasts = await self._lasts(again, step)
            assert lasts == (2, 1, 1) or (step not in stored and lasts == (0, 0, 0))
        await again.aclose()
