"""The base of the conformance suites: the hooks that an adapter provides, and faults at every step."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import pytest

from chat_actors.storage import StorageError
from chat_actors.testing.storage.steps import cancel_at

MAX_STEPS = 1000
"""Maximum suspensions or backend accesses of one call. A call with more is taken for an endless loop."""


class Closable(Protocol):
    """An adapter of any storage port."""

    async def aclose(self) -> None:
        """Close it."""


Adapter = TypeVar("Adapter", bound=Closable)
Attempt = Callable[[int], Awaitable[object]]
Check = Callable[[int], Awaitable[None]]


class Conformance(Generic[Adapter]):
    """Tests of one storage port. Subclass a suite in a test module, under a name that begins with `Test`.

    `open` is required. The other hooks are optional: a test whose hook returns None is skipped.

    Attributes:
        backend: Event loop of the tests: "asyncio" or "trio".
        read_seconds: Maximum seconds for a read while a commit is held.
    """

    pytestmark = pytest.mark.anyio
    backend: str = "asyncio"
    read_seconds: float = 5.0

    async def open(self, place: Path) -> Adapter:
        """Open an adapter on the data of a place. At the first call, the place has no data.

        Args:
            place: A folder of this test alone. An adapter that stores its data elsewhere may take the path as a name,
                for example of a schema or of a key prefix.

        Returns:
            An adapter that shares nothing in memory with one opened before.
        """
        raise NotImplementedError

    async def reopen(self, adapter: Adapter, place: Path) -> Adapter | None:
        """Close the adapter and open it again, as after a restart of the server.

        Returns:
            The adapter on the same data, or None if the adapter keeps nothing over a restart.
        """
        await adapter.aclose()
        return await self.open(place)

    def fail_at(self, adapter: Adapter, step: int) -> AbstractContextManager[object] | None:
        """Let the backend fail within a `with` block, as a lost connection or a full disk would.

        Args:
            adapter: The adapter whose backend fails.
            step: Number of the access within the block, from 1, that fails before it has any effect. Later accesses
                may fail too, until the block ends.

        Returns:
            The context manager, or None if the backend cannot fail.
        """
        return None

    def hold_writes(self, adapter: Adapter) -> AbstractAsyncContextManager[object] | None:
        """Let no write of the backend end within an `async with` block, as a slow disk would.

        Returns:
            The context manager, or None if writes cannot be held.
        """
        return None

    @pytest.fixture
    def anyio_backend(self) -> str:
        return self.backend

    @pytest.fixture
    async def adapter(self, tmp_path: Path) -> AsyncIterator[Adapter]:
        adapter = await self.open(tmp_path)
        yield adapter
        await adapter.aclose()

    async def test_cancelled_close_can_be_repeated(self, tmp_path: Path) -> None:
        """The close is cancelled at each of its suspensions in turn, each time in another place."""
        adapters: dict[int, Adapter] = {}

        async def open_one(step: int) -> None:
            (tmp_path / str(step)).mkdir()
            adapters[step] = await self.open(tmp_path / str(step))

        async def check(step: int) -> None:
            await adapters[step].aclose()
            with pytest.raises(StorageError):
                await self._read(adapters[step])
            await open_one(step + 1)

        await open_one(1)
        await self._cancel_at_every_step(lambda step: adapters[step].aclose(), check)
        for adapter in adapters.values():
            await adapter.aclose()

    async def _read(self, adapter: Adapter) -> None:
        """Any read of the port."""
        raise NotImplementedError

    async def _reopened(self, adapter: Adapter, place: Path) -> Adapter:
        again = await self.reopen(adapter, place)
        if again is None:
            pytest.skip("this adapter keeps nothing over a restart (reopen returns None)")
        return again

    async def _cancel_at_every_step(self, attempt: Attempt, check: Check) -> None:
        """Cancel `attempt(n)` at its n-th suspension, then run `check(n)`, until an attempt ends uncancelled."""
        for step in range(1, MAX_STEPS):
            was_reached = await cancel_at(step, attempt(step))
            await check(step)
            if not was_reached:
                return
        pytest.fail(f"the call suspends more than {MAX_STEPS} times")

    async def _fail_at_every_step(self, adapter: Adapter, attempt: Attempt, check: Check) -> None:
        """Let the n-th access of `attempt(n)` fail; it must raise `StorageError`. Then run `check(n)`."""
        for step in itertools.count(1):
            failing = self.fail_at(adapter, step)
            if failing is None:
                pytest.skip("this adapter injects no failures (fail_at returns None)")
            has_failed = False
            with failing:
                try:
                    await attempt(step)
                except StorageError:
                    has_failed = True
                except Exception as error:
                    pytest.fail(f"the adapter raised {type(error).__name__} and not StorageError: {error}")
            if not has_failed:
                assert step > 1, "fail_at let the first access succeed"
                return
            assert step < MAX_STEPS, "fail_at lets every call fail"
            await check(step)
