"""Accounts in memory: for tests, and for a server that may lose its users when it stops."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs

from chat_actors.storage.errors import StorageError
from chat_actors.storage.removals import Removal


class MemoryAccounts:
    """Stores nothing on disk: accounts, and the ids of removed users (`Removals`), last as long as the process."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}
        self._removals: dict[str, Removal] = {}
        self._closed = False

    async def register(self, user_id: str, key: bytes) -> bool:
        self._check_open("register a user")
        if user_id in self._keys or user_id in self._removals:
            return False
        self._keys[user_id] = key
        return True

    async def key_of(self, user_id: str) -> bytes | None:
        self._check_open("read a key")
        return self._keys.get(user_id)

    async def remove(self, user_id: str, *, then_free: bool = False) -> bool:
        """Remove a user's key and reserve the id. Returns whether there was a key.

        `then_free`: free the id once all extensions have erased the user's data.
        """
        self._check_open("remove a user")
        if self._keys.pop(user_id, None) is None:
            return False
        self._removals[user_id] = Removal(user_id, is_to_be_freed=then_free)
        return True

    async def is_reserved(self, user_id: str) -> bool:
        self._check_open("read a user id")
        return user_id in self._removals

    async def removals(self) -> Sequence[Removal]:
        self._check_open("list the removed users")
        return [self._removals[user_id] for user_id in sorted(self._removals)]

    async def mark_told(self, user_ids: Collection[str], extension: str) -> None:
        self._check_open("record a removed user")
        for user_id in user_ids:
            removal = self._removals[user_id]
            self._removals[user_id] = structs.replace(removal, told=removal.told | {extension})

    async def free(self, user_id: str) -> bool:
        self._check_open("free a user id")
        return self._removals.pop(user_id, None) is not None

    async def aclose(self) -> None:
        self._closed = True

    def _check_open(self, action: str) -> None:
        if self._closed:
            raise StorageError(action, "memory", "it is closed", "the server is stopping")
