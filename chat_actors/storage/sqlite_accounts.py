"""Accounts in an SQLite file: the embedded default."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from chat_actors.storage.sqlite_file import SqliteFile


class User(msgspec.Struct, frozen=True):
    """A user, with the time of the registration: UTC in ISO 8601."""

    user_id: str
    created_at: str


class SqliteAccounts:
    """The accounts in a file. The file's `durability` says what survives a power cut."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file.share()

    async def register(self, user_id: str, key: bytes) -> bool:
        def insert(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "INSERT INTO accounts (user_id, public_key) VALUES (?, ?) ON CONFLICT DO NOTHING", (user_id, key)
            )
            return cursor.rowcount == 1

        return await self._file.write("register a user", insert)

    async def key_of(self, user_id: str) -> bytes | None:
        def select(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT public_key FROM accounts WHERE user_id = ?", (user_id,)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._file.read("read a key", select)

    async def users(self) -> Sequence[User]:
        """All users, in the order of their ids."""

        def select(connection: sqlite3.Connection) -> Sequence[User]:
            rows = connection.execute("SELECT user_id, created_at FROM accounts ORDER BY user_id")
            return [User(user_id, created_at) for user_id, created_at in rows]

        return await self._file.read("list the users", select)

    async def remove(self, user_id: str) -> bool:
        """Remove a user's key, but no messages. The id can be registered again. Returns whether there was a key."""

        def delete(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM accounts WHERE user_id = ?", (user_id,)).rowcount == 1

        return await self._file.write("remove a user", delete)

    async def aclose(self) -> None:
        await self._file.aclose()
