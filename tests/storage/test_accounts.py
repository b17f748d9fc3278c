"""Both accounts adapters pass the conformance suite; the SQLite file opens, migrates and locks."""

import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime

import anyio
import pytest

from chat_actors.storage import (
    Append,
    Draft,
    MemoryAccounts,
    SqliteAccounts,
    SqliteFile,
    SqliteJournal,
    StorageError,
)
from chat_actors.storage.sqlite_schema import MIGRATIONS
from chat_actors.testing.storage import AccountsConformance
from tests.storage.sqlite_hooks import SqliteHooks

pytestmark = pytest.mark.anyio


class TestMemoryAccounts(AccountsConformance):
    async def open(self, place):
        return MemoryAccounts()

    async def reopen(self, adapter, place):
        return None


class TestMemoryAccountsOnTrio(TestMemoryAccounts):
    backend = "trio"


class TestSqliteAccounts(SqliteHooks, AccountsConformance):
    make = SqliteAccounts


async def test_registration_survives_sigkill(tmp_path):
    script = """
import os, signal, sys, anyio
from pathlib import Path
from chat_actors.storage import SqliteAccounts, SqliteFile
async def main():
    accounts = SqliteAccounts(await SqliteFile.open(Path(sys.argv[1])))
    assert await accounts.register("alice", b"key")
    os.kill(os.getpid(), signal.SIGKILL)
anyio.run(main)
"""
    died = await anyio.run_process([sys.executable, "-c", script, str(tmp_path / "chat.db")], check=False)
    assert died.returncode == -9
    accounts = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    assert await accounts.key_of("alice") == b"key"
    await accounts.aclose()


async def test_only_the_owner_may_read_the_file(tmp_path):
    accounts = SqliteAccounts(await SqliteFile.open(tmp_path / "data" / "chat.db"))
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / "chat.db").stat().st_mode) == 0o600
    await accounts.aclose()


async def test_locked_file_is_an_error_until_unlocked(tmp_path):
    accounts = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db", busy_timeout=0.05))
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another process holds the file"):
        await accounts.register("alice", b"key")
    other.execute("ROLLBACK")
    other.close()
    assert await accounts.register("alice", b"key")
    await accounts.aclose()


async def test_older_file_is_migrated_with_its_data(tmp_path):
    old = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    await old.register("alice", b"key")
    await old.aclose()
    later = (*MIGRATIONS, "ALTER TABLE accounts ADD COLUMN note TEXT; CREATE TABLE extra (id INTEGER)")
    new = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db", migrations=later))
    assert await new.key_of("alice") == b"key"
    await new.aclose()
    known = len(MIGRATIONS)
    newer = f"its schema is version {known + 1}, and this program knows versions up to {known}"
    with pytest.raises(StorageError, match=newer):
        SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))


async def test_failed_migration_changes_nothing(tmp_path):
    await SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db")).aclose()
    broken = (*MIGRATIONS, "CREATE TABLE extra (id INTEGER); NONSENSE")
    with pytest.raises(StorageError):
        SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db", migrations=broken))
    again = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    assert await again.register("alice", b"key")
    await again.aclose()


async def test_file_that_is_no_database_is_an_error(tmp_path):
    (tmp_path / "chat.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError, match="is no database or is damaged"):
        SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))


async def test_processes_may_open_a_new_file_at_once(tmp_path):
    script = """
import sys, anyio
from pathlib import Path
from chat_actors.storage import SqliteAccounts, SqliteFile
async def main():
    accounts = SqliteAccounts(await SqliteFile.open(Path(sys.argv[1])))
    print(await accounts.register("alice", b"key"))
    await accounts.aclose()
anyio.run(main)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "chat.db")]
    outputs = []

    async def run():
        outputs.append((await anyio.run_process(command, stderr=subprocess.STDOUT)).stdout.strip())

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(run)
    assert sorted(outputs) == [b"False", b"False", b"False", b"True"]


async def test_users_are_listed_and_removed(tmp_path):
    accounts = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    for user_id in ("cyd", "ann", "ben"):
        await accounts.register(user_id, b"key")
    users = await accounts.users()
    assert [user.user_id for user in users] == ["ann", "ben", "cyd"]
    assert all(datetime.fromisoformat(user.created_at).tzinfo == UTC for user in users)
    assert [await accounts.remove("ben"), await accounts.remove("ben")] == [True, False]
    assert [user.user_id for user in await accounts.users()] == ["ann", "cyd"]
    assert not await accounts.register("ben", b"other")
    await accounts.aclose()


@pytest.fixture(params=["memory", "sqlite"])
async def accounts(request, tmp_path):
    is_file = request.param == "sqlite"
    accounts = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db")) if is_file else MemoryAccounts()
    yield accounts
    await accounts.aclose()


async def test_id_of_a_removed_user_is_reserved(accounts):
    await accounts.register("ben", b"key")
    assert not await accounts.is_reserved("ben")
    assert await accounts.remove("ben")
    assert await accounts.is_reserved("ben")
    assert await accounts.key_of("ben") is None
    assert not await accounts.register("ben", b"other")
    assert await accounts.register("Ben", b"other")


async def test_freed_id_can_be_registered_and_removed_again(accounts):
    await accounts.register("ben", b"key")
    await accounts.remove("ben", then_free=True)
    await accounts.mark_told(["ben"], "polls")
    assert [await accounts.free("ben"), await accounts.free("ben")] == [True, False]
    assert await accounts.register("ben", b"other")
    assert await accounts.remove("ben")
    (removal,) = await accounts.removals()
    assert (removal.user_id, removal.told, removal.is_to_be_freed) == ("ben", frozenset(), False)


async def test_removals_say_which_extensions_were_told(accounts):
    for user_id in ("cyd", "ann"):
        await accounts.register(user_id, b"key")
        await accounts.remove(user_id)
    for extension in ("polls", "direct", "polls"):
        await accounts.mark_told(["cyd"], extension)
    removals = await accounts.removals()
    assert [(each.user_id, each.told) for each in removals] == [("ann", set()), ("cyd", {"direct", "polls"})]


async def test_removed_user_leaves_no_receipts(tmp_path):
    """Otherwise the next user of the id would be told that a message with the same client_msg_id is stored."""
    file = await SqliteFile.open(tmp_path / "chat.db")
    accounts, journal = SqliteAccounts(file), SqliteJournal(file)
    await accounts.register("ben", b"key")
    batch = [Append("den", [Draft(user_id, "hi", "m-1") for user_id in ("ben", "ann")])]
    await journal.commit(batch, datetime.now(UTC))
    await accounts.remove("ben")
    assert await journal.receipt("den", "ben", "m-1") is None
    assert await journal.receipt("den", "ann", "m-1") is not None
    assert [message.user_id for message in (await journal.page("den", limit=9)).messages] == ["ben", "ann"]
    await journal.aclose()
    await accounts.aclose()


async def test_file_without_removed_users_is_migrated(tmp_path):
    """A file of the version before removed users: its accounts stay, and an id that is removed later is reserved."""
    before = MIGRATIONS[: next(n for n, script in enumerate(MIGRATIONS) if "removed_users" in script)]
    old = await SqliteFile.open(tmp_path / "chat.db", migrations=before)
    share = old.share()
    await share.write("fill", lambda db: db.execute("INSERT INTO accounts (user_id, public_key) VALUES ('ben', x'00')"))
    await share.aclose()
    accounts = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    assert await accounts.key_of("ben") == b"\x00"
    assert await accounts.removals() == []
    assert await accounts.remove("ben")
    assert not await accounts.register("ben", b"other")
    await accounts.aclose()
