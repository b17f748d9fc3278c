"""State of extensions in an SQLite file: the embedded default."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from chat_actors.storage.sqlite_file import SqliteFile

# Each step looks up the next space in the primary key, so that a space with many values costs as much as one with one.
_SPACES = """
WITH RECURSIVE listed (space, number) AS (
    SELECT min(space), 1 FROM states WHERE space >= :prefix AND space > :after
    UNION ALL
    SELECT (SELECT min(space) FROM states WHERE space > listed.space), number + 1 FROM listed
        WHERE space IS NOT NULL AND number < :limit
)
SELECT space FROM listed WHERE space IS NOT NULL
"""


class SqliteStates:
    """The states in a file. The file's `durability` says what survives a power cut."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file.share()

    async def get(self, space: str, key: str) -> bytes | None:
        def select(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT value FROM states WHERE space = ? AND key = ?", (space, key)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._file.read("read a state", select)

    async def put(self, space: str, values: Mapping[str, bytes | None]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            for key, value in values.items():
                if value is None:
                    connection.execute("DELETE FROM states WHERE space = ? AND key = ?", (space, key))
                else:
                    connection.execute(
                        "INSERT INTO states (space, key, value) VALUES (?, ?, ?)"
                        " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value",
                        (space, key, value),
                    )

        await self._file.write("write a state", write)

    async def page(
        self, space: str, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, bytes]]:
        def select(connection: sqlite3.Connection) -> Sequence[tuple[str, bytes]]:
            # Keys with the prefix are consecutive in key order, and the first of them is the first key >= prefix.
            rows = connection.execute(
                "SELECT key, value FROM states WHERE space = ? AND key >= ? AND key > ? ORDER BY key LIMIT ?",
                (space, prefix, after, limit),
            )
            return [(key, bytes(value)) for key, value in rows if key.startswith(prefix)]

        return await self._file.read("read states", select)

    async def spaces(self, *, prefix: str = "", after: str = "", limit: int = 100) -> Sequence[str]:
        def select(connection: sqlite3.Connection) -> Sequence[str]:
            found = connection.execute(_SPACES, {"prefix": prefix, "after": after, "limit": limit})
            return [space for (space,) in found if space.startswith(prefix)]

        return await self._file.read("read states", select)

    async def aclose(self) -> None:
        await self._file.aclose()
