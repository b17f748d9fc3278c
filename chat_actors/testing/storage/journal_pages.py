"""Tests of the journal port: pages, and their bounds."""

from __future__ import annotations

from chat_actors.storage import PAGE_BYTES, Journal, Missed
from chat_actors.testing.storage.conformance import Conformance
from chat_actors.testing.storage.journal_parts import fill, page_of, post


class JournalPages(Conformance[Journal]):
    """Pages, and their bounds."""

    async def test_unknown_room_has_an_empty_page(self, adapter: Journal) -> None:
        page = await adapter.page("red", limit=10)
        assert (list(page.messages), page.more) == ([], False)
        assert await adapter.missed("red", after=0, up_to=0) == Missed(0, 0)

    async def test_pages_go_both_ways(self, adapter: Journal) -> None:
        await fill(adapter, 25)
        assert await page_of(adapter) == (list(range(16, 26)), True)
        assert await page_of(adapter, before=16) == (list(range(6, 16)), True)
        assert await page_of(adapter, before=6) == (list(range(1, 6)), False)
        assert await page_of(adapter, before=11) == (list(range(1, 11)), False)
        assert await page_of(adapter, after=0) == (list(range(1, 11)), True)
        assert await page_of(adapter, after=15) == (list(range(16, 26)), False)
        assert await page_of(adapter, after=25) == ([], False)
        assert await page_of(adapter, before=1) == ([], False)
        assert await page_of(adapter, after=10_000) == ([], False)
        assert await page_of(adapter, before=10_000, limit=1) == ([25], True)

    async def test_page_between_two_numbers(self, adapter: Journal) -> None:
        await fill(adapter, 25)
        assert await page_of(adapter, after=3, before=8) == ([4, 5, 6, 7], False)
        assert await page_of(adapter, after=3, before=8, limit=2) == ([4, 5], True)
        assert await page_of(adapter, after=7, before=8) == ([], False)
        assert await page_of(adapter, after=8, before=3) == ([], False)

    async def test_page_is_bounded_and_never_empty(self, adapter: Journal) -> None:
        """A message larger than `PAGE_BYTES` is a page of its own."""
        await post(adapter, *("x" * (PAGE_BYTES // 3) for _ in range(7)))
        assert await page_of(adapter, after=0) == ([1, 2, 3], True)
        assert await page_of(adapter) == ([5, 6, 7], True)
        await post(adapter, "\U0001f600" * PAGE_BYTES, "small")
        assert await page_of(adapter, after=7) == ([8], True)
        assert await page_of(adapter, before=9) == ([8], True)
        assert await page_of(adapter, after=8) == ([9], False)

    async def test_page_is_bounded_in_bytes(self, adapter: Journal) -> None:
        """Bytes of UTF-8: in characters, all of these messages would fit on one page."""
        third = PAGE_BYTES // 3
        contents = ["\U0001f600" * (third // 4), "\u20ac" * (third // 3), "é" * (third // 2)]
        await post(adapter, *contents, *contents)
        assert await page_of(adapter, after=0) == ([1, 2, 3], True)
        assert await page_of(adapter) == ([4, 5, 6], True)
        assert await page_of(adapter, after=3) == ([4, 5, 6], False)
        assert await page_of(adapter, before=3) == ([1, 2], False)

    async def test_large_limit_is_no_bound(self, adapter: Journal) -> None:
        await fill(adapter, 1500)
        assert await page_of(adapter, after=0, limit=2000) == (list(range(1, 1501)), False)
