"""State of extensions in memory: for tests, and for a server that may lose it when it stops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from chat_actors.storage.errors import StorageError


class MemoryStates:
    """Stores nothing on disk: state lasts as long as the process."""

    def __init__(self) -> None:
        self._spaces: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._closed = False

    async def get(self, space: str, key: str) -> bytes | None:
        self._check_open("read a state")
        return self._spaces[space].get(key) if space in self._spaces else None

    async def put(self, space: str, values: Mapping[str, bytes | None]) -> None:
        self._check_open("write a state")
        stored = self._spaces[space]
        for key, value in values.items():
            if value is None:
                stored.pop(key, None)
            else:
                stored[key] = value
        if not stored:
            del self._spaces[space]

    async def page(
        self, space: str, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, bytes]]:
        self._check_open("read states")
        stored = self._spaces.get(space, {})
        keys = sorted(key for key in stored if key.startswith(prefix) and key > after)
        return [(key, stored[key]) for key in keys[:limit]]

    async def spaces(self, *, prefix: str = "", after: str = "", limit: int = 100) -> Sequence[str]:
        self._check_open("read states")
        return sorted(space for space in self._spaces if space.startswith(prefix) and space > after)[:limit]

    async def aclose(self) -> None:
        self._closed = True

    def _check_open(self, action: str) -> None:
        if self._closed:
            raise StorageError(action, "memory", "it is closed", "the server is stopping")
