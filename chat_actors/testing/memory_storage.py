"""The data of a server in memory: it outlives a run of the server, can be given in advance, and fails on demand."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from chat_actors.chat import Storage, Store
from chat_actors.storage import (
    Append,
    Draft,
    MemoryAccounts,
    MemoryJournal,
    MemoryStates,
    Retention,
    StorageError,
)

Part: TypeAlias = Literal["accounts", "journal", "states"]

Messages: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Room id → sender and content of each message, oldest first."""

StoredStates: TypeAlias = Mapping[str, Mapping[str, Any]]
"""`EXTENSION.CLASS/KEY` → the values of that store."""


class Failures:
    """The parts of the storage that fail now."""

    def __init__(self) -> None:
        self._failing: list[tuple[Collection[Part], bool]] = []

    @contextlib.contextmanager
    def failing(self, parts: Collection[Part], *, writes_only: bool) -> Iterator[None]:
        """Let each call of these parts raise `StorageError` within the block. Raises `ValueError` for a wrong name."""
        if unknown := [part for part in parts if part not in get_args(Part)]:
            raise ValueError(f"{unknown[0]!r} is no part of the storage; the parts are: {', '.join(get_args(Part))}")
        entry = (parts or get_args(Part), writes_only)
        self._failing.append(entry)
        try:
            yield
        finally:
            self._failing.remove(entry)

    def check(self, part: Part, action: str) -> None:
        """Raises `StorageError` if this part fails."""
        is_read = action.startswith(("read ", "list "))
        if any(part in parts and not (is_read and writes_only) for parts, writes_only in self._failing):
            raise StorageError(action, "memory", "the test lets it fail", "end the block of `failing`")


class _Accounts(MemoryAccounts):
    def __init__(self, failures: Failures) -> None:
        super().__init__()
        self._failures = failures

    def _check_open(self, action: str) -> None:
        self._failures.check("accounts", action)

    async def aclose(self) -> None:
        """Keep the data for the next run of the server."""


class _Journal(MemoryJournal):
    def __init__(self, failures: Failures) -> None:
        super().__init__()
        self._failures = failures

    def _check_open(self, action: str) -> None:
        self._failures.check("journal", action)

    def forget_receipts(self, user_id: str) -> None:
        """Forget the `client_msg_id`s of a removed user."""
        for room in self._rooms.values():
            room.receipts = {key: receipt for key, receipt in room.receipts.items() if key[0] != user_id}

    async def aclose(self) -> None:
        """Keep the data for the next run of the server."""


class _States(MemoryStates):
    def __init__(self, failures: Failures) -> None:
        super().__init__()
        self._failures = failures

    def _check_open(self, action: str) -> None:
        self._failures.check("states", action)

    async def aclose(self) -> None:
        """Keep the data for the next run of the server."""


class MemoryStorage:
    """The accounts, messages and states of a server in memory."""

    def __init__(self, *, has_journal: bool) -> None:
        self.failures = Failures()
        self._accounts = _Accounts(self.failures)
        self._journal = _Journal(self.failures) if has_journal else None
        self._states = _States(self.failures)
        self.storage = Storage(self._accounts, self._journal, Retention(), self._states, self._accounts)

    async def fill(self, keys: Mapping[str, bytes], messages: Messages, states: StoredStates, at: datetime) -> None:
        """Store what a test has given: users with their public keys, messages, and states."""
        for user_id, key in keys.items():
            await self._accounts.register(user_id, key)
        for room_id, posts in messages.items():
            if self._journal is None:
                raise ValueError("a server without a journal has no messages")
            await self._journal.commit([Append(room_id, [Draft(*post) for post in posts])], at)
        for space, values in states.items():
            await self._states.put(space, {key: msgspec.json.encode(value) for key, value in values.items()})

    async def remove_user(self, user_id: str, *, release: bool) -> bool:
        """Remove an account, as `chat-actors users remove` does. Returns whether there was one."""
        if self._journal is not None:
            self._journal.forget_receipts(user_id)
        return await self._accounts.remove(user_id, then_free=release)

    def store(self, space: str) -> Store:
        """The store of a service or room kind: `EXTENSION.CLASS/KEY`."""
        return Store(self._states, space)
