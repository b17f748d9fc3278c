"""Accounts in an SQLite file: the embedded default."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from chat_actors.storage.errors import StorageError
from chat_actors.storage.sqlite_schema import MIGRATIONS, SchemaTooNew, migrate

Result = TypeVar("Result")


class SqliteAccounts:
    """One connection, used by one worker thread at a time; the event loop never waits for the disk.

    WAL with synchronous=NORMAL: an account that was answered True survives a killed process. After a power cut the
    last few may be missing (never damaged); FULL would cost a disk flush for each registration.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = connection
        self._one_at_a_time = anyio.CapacityLimiter(1)

    @classmethod
    async def open(
        cls, path: Path, *, busy_timeout: float = 5.0, migrations: Sequence[str] = MIGRATIONS
    ) -> SqliteAccounts:
        """Open the file, made if missing (0600, its folder 0700), and bring its schema up to date.

        `busy_timeout`: seconds to wait for another process that holds the file. Raises `StorageError`.
        """
        connection = await anyio.to_thread.run_sync(_open, path, busy_timeout, migrations)
        return cls(path, connection)

    async def register(self, user_id: str, key: bytes) -> bool:
        def insert(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "INSERT INTO accounts (user_id, public_key) VALUES (?, ?) ON CONFLICT DO NOTHING", (user_id, key)
            )
            return cursor.rowcount == 1

        return await self._run("register a user", insert)

    async def key_of(self, user_id: str) -> bytes | None:
        def select(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT public_key FROM accounts WHERE user_id = ?", (user_id,)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._run("read a key", select)

    async def aclose(self) -> None:
        def close() -> None:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(close, limiter=self._one_at_a_time)

    async def _run(self, action: str, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def locked_in() -> Result:
            if self._connection is None:
                raise StorageError(action, str(self.path), "it is closed", "the server is stopping")
            try:
                # Autocommit: one statement is one transaction, so a cancelled caller leaves nothing half done. The
                # thread finishes what it has begun in any case (anyio shields it).
                return work(self._connection)
            except sqlite3.Error as error:
                raise _storage_error(action, self.path, error) from error

        return await anyio.to_thread.run_sync(locked_in, limiter=self._one_at_a_time)


def _open(path: Path, busy_timeout: float, migrations: Sequence[str]) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        # check_same_thread=False: anyio's worker threads change, and the limiter lets only one of them in at a time.
        connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _storage_error("open the accounts", path, error) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection, migrations)
    except (sqlite3.Error, SchemaTooNew) as error:
        connection.close()
        raise _storage_error("open the accounts", path, error) from error
    return connection


def _storage_error(action: str, path: Path, error: Exception) -> StorageError:
    name = getattr(error, "sqlite_errorname", "")
    match error:
        case SchemaTooNew():
            remedy = "run the newer chat-actors, or point data.dir elsewhere"
        case sqlite3.Error() if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            remedy = "another process holds the file: stop it, or wait and try again"
        case sqlite3.Error() if name.startswith("SQLITE_FULL"):
            remedy = "free some space and try again"
        case sqlite3.Error() if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            remedy = "the file is no database or is damaged: restore a backup, or point data.dir elsewhere"
        case _:
            remedy = "check that the folder exists and may be written to"
    return StorageError(action, str(path), str(error), remedy)
