"""Accounts in an SQLite file: the embedded default."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

import msgspec

from chat_actors.storage.removals import Removal
from chat_actors.storage.sqlite_file import SqliteFile


class User(msgspec.Struct, frozen=True):
    """A user, with the time of the registration: UTC in ISO 8601."""

    user_id: str
    created_at: str


_REGISTER = """
INSERT INTO accounts (user_id, public_key)
    SELECT :user_id, :key WHERE NOT EXISTS (SELECT 1 FROM removed_users WHERE user_id = :user_id)
    ON CONFLICT DO NOTHING
"""
_REMOVALS = """
SELECT user_id, removed_at, is_to_be_freed, extension FROM removed_users LEFT JOIN removals_told USING (user_id)
    ORDER BY user_id
"""


class SqliteAccounts:
    """The accounts in a file, and the ids of removed users (`Removals`).

    The file's `durability` says what survives a power cut.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file.share()

    async def register(self, user_id: str, key: bytes) -> bool:
        def insert(connection: sqlite3.Connection) -> bool:
            return connection.execute(_REGISTER, {"user_id": user_id, "key": key}).rowcount == 1

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

    # -- removed users -------------------------------------------------------------------------------------------------

    async def remove(self, user_id: str, *, then_free: bool = False) -> bool:
        """Remove a user's key, but no messages, and reserve the id. Returns whether there was a key.

        `then_free`: free the id once all extensions have erased the user's data.
        """

        def delete(connection: sqlite3.Connection) -> bool:
            if connection.execute("DELETE FROM accounts WHERE user_id = ?", (user_id,)).rowcount == 0:
                return False
            connection.execute(
                "INSERT INTO removed_users (user_id, is_to_be_freed) VALUES (?, ?)", (user_id, int(then_free))
            )
            # Otherwise the next user of the id would be told that messages with these client_msg_ids are stored.
            connection.execute("DELETE FROM receipts WHERE user_id = ?", (user_id,))
            return True

        return await self._file.write("remove a user", delete)

    async def free_when_told(self, user_id: str) -> bool:
        """Free a reserved id once all extensions have erased the user's data. Returns whether it is reserved."""

        def update(connection: sqlite3.Connection) -> bool:
            statement = "UPDATE removed_users SET is_to_be_freed = 1 WHERE user_id = ?"
            return connection.execute(statement, (user_id,)).rowcount == 1

        return await self._file.write("free a user id", update)

    async def is_reserved(self, user_id: str) -> bool:
        def select(connection: sqlite3.Connection) -> bool:
            found = connection.execute("SELECT 1 FROM removed_users WHERE user_id = ?", (user_id,))
            return found.fetchone() is not None

        return await self._file.read("read a user id", select)

    async def removals(self) -> Sequence[Removal]:
        def select(connection: sqlite3.Connection) -> Sequence[Removal]:
            found: dict[str, Removal] = {}
            for user_id, removed_at, is_to_be_freed, extension in connection.execute(_REMOVALS):
                earlier = found[user_id].told if user_id in found else frozenset()
                told = earlier if extension is None else earlier | {extension}
                found[user_id] = Removal(user_id, removed_at, told, bool(is_to_be_freed))
            return list(found.values())

        return await self._file.read("list the removed users", select)

    async def mark_told(self, user_ids: Collection[str], extension: str) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            statement = "INSERT INTO removals_told (user_id, extension) VALUES (?, ?) ON CONFLICT DO NOTHING"
            connection.executemany(statement, [(user_id, extension) for user_id in user_ids])

        await self._file.write("record a removed user", insert)

    async def free(self, user_id: str) -> bool:
        def delete(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM removals_told WHERE user_id = ?", (user_id,))
            return connection.execute("DELETE FROM removed_users WHERE user_id = ?", (user_id,)).rowcount == 1

        return await self._file.write("free a user id", delete)

    async def aclose(self) -> None:
        await self._file.aclose()
