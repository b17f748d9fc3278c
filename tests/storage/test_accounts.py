"""What every storage of accounts promises, and what SQLite's promises beyond that."""

import sqlite3
import stat
import subprocess
import sys

import anyio
import pytest

from chat_actors.storage import MemoryAccounts, SqliteAccounts, SqliteFile, StorageError
from chat_actors.storage.sqlite_schema import MIGRATIONS

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def accounts(request, tmp_path):
    opened = (
        MemoryAccounts()
        if request.param == "memory"
        else SqliteAccounts(await SqliteFile.open(tmp_path / "data" / "chat.db"))
    )
    yield opened
    await opened.aclose()


async def test_a_registered_key_is_found(accounts):
    assert await accounts.register("alice", b"key")
    assert await accounts.key_of("alice") == b"key"


async def test_an_unknown_user_has_no_key(accounts):
    assert await accounts.key_of("nobody") is None


async def test_a_taken_id_stays_with_its_first_key(accounts):
    await accounts.register("alice", b"first")
    assert not await accounts.register("alice", b"second")
    assert not await accounts.register("alice", b"first")
    assert await accounts.key_of("alice") == b"first"


async def test_ids_are_compared_exactly(accounts):
    await accounts.register("alice", b"a")
    assert await accounts.register("Alice", b"A")
    assert await accounts.key_of("ALICE") is None


async def test_of_many_registrations_at_once_exactly_one_succeeds(accounts):
    results = []

    async def register(n):
        results.append(await accounts.register("alice", str(n).encode()))

    async with anyio.create_task_group() as tasks:
        for n in range(100):
            tasks.start_soon(register, n)
    assert results.count(True) == 1


async def test_a_closed_storage_says_so_and_may_be_closed_again(accounts):
    await accounts.aclose()
    await accounts.aclose()
    with pytest.raises(StorageError, match="closed"):
        await accounts.key_of("alice")
    with pytest.raises(StorageError, match="closed"):
        await accounts.register("alice", b"key")


async def test_a_cancelled_call_leaves_the_storage_in_order(accounts):
    with anyio.move_on_after(0):
        await accounts.register("alice", b"key")
    assert await accounts.key_of("alice") in {None, b"key"}
    assert await accounts.register("bob", b"key")


async def test_accounts_survive_a_reopening(tmp_path):
    first = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    await first.register("alice", b"key")
    await first.aclose()
    second = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    assert await second.key_of("alice") == b"key"
    await second.aclose()


async def test_an_answered_registration_survives_kill_9(tmp_path):
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


async def test_a_file_held_by_another_process_is_an_error_and_works_again_later(tmp_path):
    accounts = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db", busy_timeout=0.05))
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another process holds the file"):
        await accounts.register("alice", b"key")
    other.execute("ROLLBACK")
    other.close()
    assert await accounts.register("alice", b"key")
    await accounts.aclose()


async def test_an_older_file_is_brought_up_to_date_with_what_it_holds(tmp_path):
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


async def test_a_migration_that_fails_changes_nothing(tmp_path):
    await SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db")).aclose()
    broken = (*MIGRATIONS, "CREATE TABLE extra (id INTEGER); NONSENSE")
    with pytest.raises(StorageError):
        SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db", migrations=broken))
    again = SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))
    assert await again.register("alice", b"key")
    await again.aclose()


async def test_a_file_that_is_no_database_is_a_clear_error(tmp_path):
    (tmp_path / "chat.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError, match="is no database or is damaged"):
        SqliteAccounts(await SqliteFile.open(tmp_path / "chat.db"))


async def test_two_processes_may_open_a_fresh_file_at_once(tmp_path):
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
