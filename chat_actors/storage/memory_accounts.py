"""Accounts in memory: for tests, and for a server that may lose its users when it stops."""

from __future__ import annotations

from chat_actors.storage.errors import StorageError


class MemoryAccounts:
    """Stores nothing on disk: accounts last as long as the process."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}
        self._closed = False

    async def register(self, user_id: str, key: bytes) -> bool:
        self._check_open("register a user")
        if user_id in self._keys:
            return False
        self._keys[user_id] = key
        return True

    async def key_of(self, user_id: str) -> bytes | None:
        self._check_open("read a key")
        return self._keys.get(user_id)

    async def aclose(self) -> None:
        self._closed = True

    def _check_open(self, action: str) -> None:
        if self._closed:
            raise StorageError(action, "memory", "it is closed", "the server is stopping")
