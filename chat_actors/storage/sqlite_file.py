"""The SQLite file that the storage adapters share.

Theory of operation. A file has two connections: one writes and one reads, each in a thread of its own. In WAL mode,
reads and writes do not wait for each other. Invariants:

* A write is one transaction, begun and ended in the writer's thread. If its caller is cancelled, the thread finishes a
  transaction that it has begun, and drops one that it has not; so a batch is never stored in part.
* All writes of the process share the one connection, in the order of their calls. With two, the one that finds the file
  locked would sleep and retry, and beside a busy one it may retry until it gives up.
* A ROLLBACK that fails leaves its transaction open; the next write ends it first.
* The file closes with the last adapter that shares it, after the calls that have begun.

After a crash, SQLite recovers the last committed transaction from the WAL; the lock file of `exclusive` is released by
the operating system.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import anyio
import anyio.to_thread

from chat_actors.storage.errors import StorageError
from chat_actors.storage.file_lock import FileLock, InUse
from chat_actors.storage.sqlite_schema import MIGRATIONS, SchemaTooNew, migrate

Result = TypeVar("Result")
Durability: TypeAlias = Literal["os", "disk"]

PAGES_AT_ONCE = 1000
"""Pages (of 4 KiB) that a backup copies between two reports of its progress."""

_SYNCHRONOUS: dict[Durability, str] = {"os": "NORMAL", "disk": "FULL"}


class SqliteFile:
    """One connection that writes and one that reads, each with a thread of its own. For asyncio.

    Each thread takes its next call from a queue of its own, without a turn of the event loop in between: when two
    thousand clients reconnect at once, a turn takes long.

    Durability "os" (`synchronous=NORMAL`): a commit survives a crash of the process; after a power cut the last commits
    may be missing, but the file is not damaged. "disk" (`FULL`): a commit survives a power cut too, and waits for the
    disk.
    """

    def __init__(
        self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection, lock: FileLock | None
    ) -> None:
        self.path = path
        self._lock = lock
        self._connections: tuple[sqlite3.Connection, sqlite3.Connection] | None = (writer, reader)
        self._writing = ThreadPoolExecutor(1, "sqlite-writer")
        self._reading = ThreadPoolExecutor(1, "sqlite-reader")
        self._shares = 0

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        durability: Durability = "os",
        exclusive: bool = False,
        busy_timeout: float = 2.0,
        migrations: Sequence[str] = MIGRATIONS,
    ) -> SqliteFile:
        """Open the file and migrate it. A missing file is made (mode 0600, its folder 0700).

        `exclusive`: refuse if another process has opened the file so. A server needs this, since its rooms would not be
        notified of messages that another server writes. `busy_timeout`: seconds to wait for a process that has locked
        the file. Raises `StorageError`.
        """

        def open_all() -> SqliteFile:
            _make_file(path)
            lock = _take_lock(path) if exclusive else None
            try:
                return cls(path, *_connect(path, durability, busy_timeout, migrations), lock)
            except BaseException:
                if lock is not None:
                    lock.release()
                raise

        return await anyio.to_thread.run_sync(open_all)

    def share(self) -> SqliteShare:
        """A share for one more adapter. The file closes with the last share."""
        self._shares += 1
        return SqliteShare(self)

    async def write(self, action: str, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` as one transaction, in the writer's thread. Raises `StorageError`, and then nothing has changed.

        If the caller is cancelled, the transaction is committed as a whole or not begun.
        """
        writer, _ = self._open(action)

        def transact() -> Result:
            try:
                if writer.in_transaction:  # the ROLLBACK of an earlier one failed
                    writer.execute("ROLLBACK")
                writer.execute("BEGIN IMMEDIATE")
                try:
                    result = work(writer)
                    writer.execute("COMMIT")
                except BaseException:
                    if writer.in_transaction:  # SQLite rolls back by itself after some errors
                        writer.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise storage_error(action, self.path, error) from error
            return result

        return await asyncio.wrap_future(self._writing.submit(transact))

    async def read(self, action: str, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in the reader's thread, on the last committed data. Raises `StorageError`."""
        _, reader = self._open(action)

        def query() -> Result:
            try:
                return work(reader)
            except sqlite3.Error as error:
                raise storage_error(action, self.path, error) from error

        return await asyncio.wrap_future(self._reading.submit(query))

    async def copy_to(self, path: Path, progress: Callable[[int, int], None]) -> None:
        """Copy all data committed by now to a new file (0600), while writes to this one continue.

        `progress(pages left, pages in all)` is called in a thread. The file gets its name once it is complete. Raises
        `StorageError`, also if the file exists.
        """
        _, reader = self._open("back up")

        def copy() -> None:
            partial = path.with_name(path.name + ".partial")
            try:
                if path.exists():
                    raise FileExistsError("there is such a file already")
                partial.unlink(missing_ok=True)
                partial.touch(mode=0o600)
                with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as target:
                    # One read transaction for the whole copy: otherwise each commit of the server restarts the copy,
                    # and on a busy server the copy never ends.
                    reader.execute("BEGIN")
                    try:
                        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
                        reader.backup(
                            target, pages=PAGES_AT_ONCE, progress=lambda _, left, total: progress(left, total)
                        )
                    finally:
                        reader.execute("ROLLBACK")
                partial.rename(path)
            except (OSError, sqlite3.Error) as error:
                partial.unlink(missing_ok=True)
                raise storage_error("back up", path, error) from error

        await asyncio.wrap_future(self._reading.submit(copy))

    def _open(self, action: str) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        if self._connections is None:
            raise closed_error(action, self.path)
        return self._connections

    async def release(self) -> None:
        """Return one share. With the last one the file is closed, after the calls that have begun."""
        self._shares -= 1
        if self._shares > 0 or self._connections is None:
            return
        connections, self._connections = self._connections, None

        def close() -> None:
            self._reading.shutdown()
            for connection in reversed(connections):
                connection.close()
            if self._lock is not None:
                self._lock.release()

        with anyio.CancelScope(shield=True):
            await asyncio.wrap_future(self._writing.submit(close))
        self._writing.shutdown()


class SqliteShare:
    """The use of a file by one adapter."""

    def __init__(self, file: SqliteFile) -> None:
        self._file: SqliteFile | None = file
        self._path = file.path

    async def write(self, action: str, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """As the file's `write`; raises `StorageError` also if the share is closed."""
        return await self._open(action).write(action, work)

    async def read(self, action: str, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """As the file's `read`; raises `StorageError` also if the share is closed."""
        return await self._open(action).read(action, work)

    def _open(self, action: str) -> SqliteFile:
        if self._file is None:
            raise closed_error(action, self._path)
        return self._file

    async def aclose(self) -> None:
        """Release the file; the last share closes it. A second call does nothing."""
        file, self._file = self._file, None
        if file is not None:
            await file.release()


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise storage_error("open the data", path, error) from error


def _take_lock(path: Path) -> FileLock:
    try:
        return FileLock(path.with_suffix(".lock"))
    except (InUse, OSError) as error:
        raise storage_error("open the data", path, error) from error


def _connect(
    path: Path, durability: Durability, busy_timeout: float, migrations: Sequence[str]
) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        # check_same_thread=False: opened in one thread, then used only in another.
        connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
        opened.callback(connection.close)
        return connection

    with contextlib.ExitStack() as opened:
        try:
            writer, reader = connect(), connect()
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
            migrate(writer, migrations)
            reader.execute("PRAGMA query_only = ON")
        except (sqlite3.Error, SchemaTooNew) as error:
            raise storage_error("open the data", path, error) from error
        opened.pop_all()
    return writer, reader


def closed_error(action: str, path: Path) -> StorageError:
    """The error of every call after the file was closed."""
    return StorageError(action, str(path), "it is closed", "the server is stopping")


def storage_error(action: str, path: Path, error: Exception) -> StorageError:
    """The error with its remedy."""
    name = getattr(error, "sqlite_errorname", "")
    match error:
        case SchemaTooNew():
            remedy = "run the newer chat-actors, or point data.dir elsewhere"
        case FileExistsError():
            remedy = "name another, or remove that"
        case InUse():
            remedy = "end that first, or point data.dir elsewhere"
        case sqlite3.Error() if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            remedy = "another process holds the file: stop it, or wait and try again"
        case sqlite3.Error() if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            remedy = "the disk is full or fails: free some space and try again"
        case sqlite3.Error() if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            remedy = "the file is no database or is damaged: restore a backup, or point data.dir elsewhere"
        case _:
            remedy = "check that the folder exists and may be written to"
    return StorageError(action, str(path), str(error), remedy)
