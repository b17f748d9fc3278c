"""Conformance suite of the states port."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from chat_actors.storage import States, StorageError
from chat_actors.testing.storage.conformance import Conformance

VALUES: Mapping[str, bytes | None] = {"a": b"new", "b": None, "c": b"new", "d": b"new"}
BEFORE = [("a", b"old"), ("b", b"old")]
AFTER = [("a", b"new"), ("c", b"new"), ("d", b"new")]


class StatesConformance(Conformance[States]):
    """Tests of an adapter of `States`. The hooks are those of `Conformance`."""

    async def _read(self, adapter: States) -> None:
        await adapter.get("polls", "a")

    async def test_values_are_found(self, adapter: States) -> None:
        await adapter.put("polls", {"a": b"1", "b": b"\x00\xff"})
        assert await adapter.get("polls", "a") == b"1"
        assert await adapter.get("polls", "b") == b"\x00\xff"

    async def test_value_is_kept_byte_for_byte(self, adapter: States) -> None:
        value = bytes(range(256)) * 400 + b" \n\x00"
        await adapter.put("polls", {"a": value})
        assert await adapter.get("polls", "a") == value
        assert await adapter.page("polls") == [("a", value)]

    async def test_empty_value_is_not_a_missing_one(self, adapter: States) -> None:
        await adapter.put("polls", {"a": b"", "": b"1"})
        assert await adapter.get("polls", "a") == b""
        assert await adapter.get("polls", "") == b"1"

    async def test_missing_value_is_none(self, adapter: States) -> None:
        assert await adapter.get("polls", "a") is None
        assert await adapter.page("polls") == []

    async def test_put_replaces_and_none_removes(self, adapter: States) -> None:
        await adapter.put("polls", {"a": b"1", "b": b"2"})
        await adapter.put("polls", {"a": b"new", "b": None, "c": None})
        assert await adapter.page("polls") == [("a", b"new")]
        await adapter.put("polls", {"a": None})
        assert await adapter.get("polls", "a") is None

    async def test_spaces_are_separate(self, adapter: States) -> None:
        await adapter.put("polls", {"a": b"1"})
        await adapter.put("Polls", {"a": b"2"})
        assert await adapter.get("polls", "a") == b"1"
        assert await adapter.page("poll") == []
        await adapter.put("polls/red", {"a": b"3"})
        assert await adapter.get("polls", "red/a") is None
        assert await adapter.page("polls") == [("a", b"1")]

    async def test_pages_are_in_code_point_order(self, adapter: States) -> None:
        keys = ["user/b", "user/a", "user/é", "user/\U0001f600", "user/\uff5e", "use", "user0", "user/A", "vser/a"]
        await adapter.put("polls", {key: key.encode() for key in keys})
        assert [key for key, _ in await adapter.page("polls", prefix="user/")] == [
            "user/A", "user/a", "user/b", "user/é", "user/\uff5e", "user/\U0001f600",
        ]  # fmt: skip
        first = await adapter.page("polls", prefix="user/", limit=2)
        assert [key for key, _ in first] == ["user/A", "user/a"]
        rest = await adapter.page("polls", prefix="user/", after="user/a", limit=2)
        assert [key for key, _ in rest] == ["user/b", "user/é"]

    async def test_page_has_100_keys_by_default(self, adapter: States) -> None:
        await adapter.put("polls", {f"{n:03}": b"1" for n in range(150)})
        assert [key for key, _ in await adapter.page("polls")] == [f"{n:03}" for n in range(100)]
        assert len(await adapter.page("polls", after="049", limit=1000)) == 100

    async def test_prefix_has_no_wildcards(self, adapter: States) -> None:
        await adapter.put("polls", dict.fromkeys(("50%", "50%a", "501", "5_", "5_a", "*", "[a]", "A", "a"), b"1"))
        for prefix, keys in {
            "50%": ["50%", "50%a"],
            "5_": ["5_", "5_a"],
            "*": ["*"],
            "[a": ["[a]"],
            "A": ["A"],
        }.items():
            assert [key for key, _ in await adapter.page("polls", prefix=prefix)] == keys

    async def test_page_after_a_key_of_another_prefix(self, adapter: States) -> None:
        await adapter.put("polls", {"a1": b"1", "b1": b"2", "b2": b"3", "c1": b"4"})
        assert await adapter.page("polls", prefix="b", after="a1") == [("b1", b"2"), ("b2", b"3")]
        assert await adapter.page("polls", prefix="b", after="c") == []

    async def test_overlapping_puts_are_atomic(self, adapter: States) -> None:
        async def put(n: int) -> None:
            keys = [f"key-{k}" for k in range(10)]
            await adapter.put("polls", dict.fromkeys(keys if n % 2 else keys[::-1], str(n).encode()))
            assert len({value for _, value in await adapter.page("polls")}) == 1

        async with anyio.create_task_group() as tasks:
            for n in range(20):
                tasks.start_soon(put, n)

    async def test_closed_adapter_raises_storage_error(self, adapter: States) -> None:
        await adapter.aclose()
        await adapter.aclose()
        for call in (adapter.get("polls", "a"), adapter.put("polls", {"a": b"1"}), adapter.page("polls")):
            with pytest.raises(StorageError, match="closed"):
                await call

    async def test_values_survive_a_restart(self, adapter: States, tmp_path: Path) -> None:
        await adapter.put("polls", {"a": b"1", "b": b"2", "c": b"3"})
        await adapter.put("polls", {"b": None})
        again = await self._reopened(adapter, tmp_path)
        assert await again.page("polls") == [("a", b"1"), ("c", b"3")]
        await again.aclose()

    async def test_cancelled_put_is_all_or_nothing(self, adapter: States) -> None:
        """The call is cancelled at each of its suspensions in turn."""

        async def attempt(step: int) -> None:
            await adapter.put(f"space-{step}", VALUES)

        async def check(step: int) -> None:
            await adapter.put("other", {"a": b"1"})  # waits for what the cancelled call has begun
            assert await adapter.page(f"space-{step}") in (BEFORE, AFTER)
            await adapter.put(f"space-{step}", VALUES)
            assert await adapter.page(f"space-{step}") == AFTER
            await prepare(step + 1)

        async def prepare(step: int) -> None:
            await adapter.put(f"space-{step}", dict(BEFORE))

        await prepare(1)
        await self._cancel_at_every_step(attempt, check)

    async def test_cancelled_reads_leave_it_usable(self, adapter: States) -> None:
        await adapter.put("polls", dict(BEFORE))

        async def check(_: int) -> None:
            assert await adapter.get("polls", "a") == b"old"
            assert await adapter.page("polls") == BEFORE

        await self._cancel_at_every_step(lambda _: adapter.get("polls", "a"), check)
        await self._cancel_at_every_step(lambda _: adapter.page("polls"), check)

    async def test_failed_put_changes_nothing(self, adapter: States) -> None:
        """The backend fails at each access in turn."""
        await adapter.put("polls", dict(BEFORE))

        async def check(_: int) -> None:
            assert await adapter.page("polls") == BEFORE
            await adapter.put("other", {"a": b"1"})

        await self._fail_at_every_step(adapter, lambda _: adapter.put("polls", VALUES), check)
        assert await adapter.page("polls") == AFTER

    async def test_failed_reads_raise_storage_error(self, adapter: States) -> None:
        await adapter.put("polls", dict(BEFORE))

        async def check(_: int) -> None:
            assert await adapter.get("polls", "a") == b"old"
            assert await adapter.page("polls") == BEFORE

        await self._fail_at_every_step(adapter, lambda _: adapter.get("polls", "a"), check)
        await self._fail_at_every_step(adapter, lambda _: adapter.page("polls"), check)
