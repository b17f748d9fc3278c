"""Conformance suite of the accounts port."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from chat_actors.storage import Accounts, StorageError
from chat_actors.testing.storage.conformance import Conformance


class AccountsConformance(Conformance[Accounts]):
    """Tests of an adapter of `Accounts`. The hooks are those of `Conformance`."""

    async def _read(self, adapter: Accounts) -> None:
        await adapter.key_of("alice")

    async def test_registered_key_is_found(self, adapter: Accounts) -> None:
        assert await adapter.register("alice", b"key")
        assert await adapter.key_of("alice") == b"key"

    async def test_key_is_kept_byte_for_byte(self, adapter: Accounts) -> None:
        key = b" " + bytes(range(256)) * 8 + b"\n \x00"
        assert await adapter.register("alice", key)
        assert await adapter.key_of("alice") == key

    async def test_unknown_user_has_no_key(self, adapter: Accounts) -> None:
        assert await adapter.key_of("unknown") is None

    async def test_taken_id_keeps_its_first_key(self, adapter: Accounts) -> None:
        assert await adapter.register("alice", b"first")
        assert not await adapter.register("alice", b"second")
        assert not await adapter.register("alice", b"first")
        assert await adapter.key_of("alice") == b"first"

    async def test_ids_are_compared_exactly(self, adapter: Accounts) -> None:
        await adapter.register("alice", b"a")
        assert await adapter.register("Alice", b"A")
        assert await adapter.key_of("ALICE") is None

    async def test_one_of_many_registrations_succeeds(self, adapter: Accounts) -> None:
        results: dict[bytes, bool] = {}

        async def register(n: int) -> None:
            key = str(n).encode()
            results[key] = await adapter.register("alice", key)

        async with anyio.create_task_group() as tasks:
            for n in range(100):
                tasks.start_soon(register, n)
        assert list(results.values()).count(True) == 1
        assert results[await adapter.key_of("alice") or b""]

    async def test_closed_adapter_raises_storage_error(self, adapter: Accounts) -> None:
        await adapter.aclose()
        await adapter.aclose()
        with pytest.raises(StorageError, match="closed"):
            await adapter.key_of("alice")
        with pytest.raises(StorageError, match="closed"):
            await adapter.register("alice", b"key")

    async def test_accounts_survive_a_restart(self, adapter: Accounts, tmp_path: Path) -> None:
        await adapter.register("alice", b"key")
        again = await self._reopened(adapter, tmp_path)
        assert await again.key_of("alice") == b"key"
        assert not await again.register("alice", b"other")
        await again.aclose()

    async def test_cancelled_register_is_all_or_nothing(self, adapter: Accounts) -> None:
        """The call is cancelled at each of its suspensions in turn."""

        async def check(step: int) -> None:
            # The second registration waits for the writes that the cancelled one has begun.
            is_second = await adapter.register(f"user-{step}", b"second")
            assert await adapter.key_of(f"user-{step}") == (b"second" if is_second else b"first")

        await self._cancel_at_every_step(lambda step: adapter.register(f"user-{step}", b"first"), check)

    async def test_cancelled_key_of_leaves_the_adapter_usable(self, adapter: Accounts) -> None:
        await adapter.register("alice", b"key")

        async def check(_: int) -> None:
            assert await adapter.key_of("alice") == b"key"

        await self._cancel_at_every_step(lambda _: adapter.key_of("alice"), check)

    async def test_failed_register_changes_nothing(self, adapter: Accounts) -> None:
        """The backend fails at each access in turn."""

        async def check(step: int) -> None:
            assert await adapter.key_of(f"user-{step}") is None
            assert await adapter.register(f"user-{step}", b"second")

        await self._fail_at_every_step(adapter, lambda step: adapter.register(f"user-{step}", b"first"), check)

    async def test_failed_key_of_raises_storage_error(self, adapter: Accounts) -> None:
        await adapter.register("alice", b"key")

        async def check(_: int) -> None:
            assert await adapter.key_of("alice") == b"key"

        await self._fail_at_every_step(adapter, lambda _: adapter.key_of("alice"), check)
