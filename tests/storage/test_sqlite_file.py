"""The SQLite file: failed rollbacks, copies, closing, and the lock of an exclusive one."""

import os
import sqlite3
import stat

import pytest

from chat_actors.storage import SqliteFile, SqliteJournal, StorageError
from chat_actors.testing.storage.journal_parts import post

pytestmark = pytest.mark.anyio


async def test_failed_rollback_is_made_up_for(tmp_path):
    """The next write ends the transaction that is still open, and stores nothing of it."""

    class NoRollback:
        def __init__(self, connection):
            self.connection = connection

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def execute(self, statement, *values):
            if statement in {"COMMIT", "ROLLBACK"}:
                raise sqlite3.OperationalError("disk I/O error")
            return self.connection.execute(statement, *values)

    file = await SqliteFile.open(tmp_path / "chat.db")
    journal = SqliteJournal(file)
    writer, reader = file._connections
    file._connections = NoRollback(writer), reader
    with pytest.raises(StorageError, match="disk I/O error"):
        await post(journal, "lost")
    file._connections = writer, reader
    assert (await post(journal, "stored")).receipts[0].seq == 1
    await journal.aclose()


async def test_copy_holds_the_committed_data(tmp_path):
    file = await SqliteFile.open(tmp_path / "chat.db")
    journal = SqliteJournal(file)
    await post(journal, "a", "b")
    reports = []
    await file.copy_to(tmp_path / "copy.db", lambda left, total: reports.append((left, total)))
    await post(journal, "c")
    await journal.aclose()
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert (reports[-1][0], reports[-1][1] > 0) == (0, True)
    copy = SqliteJournal(await SqliteFile.open(tmp_path / "copy.db"))
    assert [message.content for message in (await copy.page("red", limit=10)).messages] == ["a", "b"]
    await copy.aclose()


async def test_copy_keeps_an_existing_file(tmp_path):
    (tmp_path / "copy.db").write_text("mine")
    file = await SqliteFile.open(tmp_path / "chat.db")
    journal = SqliteJournal(file)
    with pytest.raises(StorageError, match="there is such a file already; name another, or remove that"):
        await file.copy_to(tmp_path / "copy.db", lambda left, total: None)
    assert (tmp_path / "copy.db").read_text() == "mine"
    assert not (tmp_path / "copy.db.partial").exists()
    await journal.aclose()


async def test_closed_file_raises_storage_error(tmp_path):
    file = await SqliteFile.open(tmp_path / "chat.db")
    await SqliteJournal(file).aclose()
    for call in (
        file.read("read", lambda connection: None),
        file.write("write", lambda connection: None),
        file.copy_to(tmp_path / "copy.db", lambda left, total: None),
    ):
        with pytest.raises(StorageError, match="closed"):
            await call


async def test_exclusive_file_is_refused_to_a_second(tmp_path):
    first = SqliteJournal(await SqliteFile.open(tmp_path / "chat.db", exclusive=True))
    with pytest.raises(StorageError, match=f"process {os.getpid()} is using it; end that first"):
        await SqliteFile.open(tmp_path / "chat.db", exclusive=True)
    await first.aclose()
    second = SqliteJournal(await SqliteFile.open(tmp_path / "chat.db", exclusive=True))
    await second.aclose()
