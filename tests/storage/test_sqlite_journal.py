"""The SQLite journal beyond the port: SIGKILL, full disks, locked files, the cost of a page."""

import asyncio
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime

import anyio
import pytest

from chat_actors.storage import Append, Draft, SqliteAccounts, SqliteFile, SqliteJournal, StorageError

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def open_journal(path, **options):
    return SqliteJournal(await SqliteFile.open(path, **options))


async def post(journal, *contents, room="red", at=NOON):
    (appended,) = await journal.commit([Append(room, [Draft("ann", content) for content in contents])], at)
    return appended


WRITER = """
import sys, anyio
from datetime import UTC, datetime
from pathlib import Path
from chat_actors.storage import Append, Draft, SqliteFile, SqliteJournal
async def main():
    journal = SqliteJournal(await SqliteFile.open(Path(sys.argv[1]), durability=sys.argv[2]))
    while True:
        batch = [Append(room, [Draft("ann", "x" * 100, None) for _ in range(7)]) for room in ("red", "blue")]
        answers = await journal.commit(batch, datetime.now(UTC))
        print(answers[0].receipts[-1].seq, flush=True)
anyio.run(main)
"""


def killed_after(lines, path, durability):
    """The last number that a writer printed before it was killed, after so many lines."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), durability], stdout=subprocess.PIPE) as process:
        printed = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        printed += process.stdout.read().splitlines()
    return max(int(line) for line in printed if line.strip().isdigit())


@pytest.mark.parametrize("durability", ["os", "disk"])
async def test_answered_batches_survive_sigkill_whole(tmp_path, durability):
    path = tmp_path / "chat.db"
    chance = random.Random(7)
    for _ in range(4):
        returned = killed_after(chance.randint(1, 30), path, durability)
        journal = await open_journal(path)
        red, blue = await journal.extent("red"), await journal.extent("blue")
        assert red.last >= returned
        assert red == blue
        assert red.last % 7 == 0
        page = await journal.page("red", before=red.last + 1, limit=200)
        assert [message.seq for message in page.messages] == list(range(page.messages[0].seq, red.last + 1))
        await journal.aclose()


async def test_receipts_survive_a_restart(tmp_path):
    journal = await open_journal(tmp_path / "chat.db")
    await journal.commit([Append("red", [Draft("ann", "hello", "m1")])], NOON)
    await journal.aclose()
    journal = await open_journal(tmp_path / "chat.db")
    (again,) = await journal.commit([Append("red", [Draft("ann", "hello", "m1"), Draft("ann", "world")])], NOON)
    assert [(receipt.seq, receipt.is_new) for receipt in again.receipts] == [(1, False), (2, True)]
    await journal.aclose()


async def test_full_disk_is_an_error_until_space_is_free(tmp_path):
    file = await SqliteFile.open(tmp_path / "chat.db")
    journal = SqliteJournal(file)
    await post(journal, "before")

    def limit(pages):
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await file.write("set a limit", limit(1))  # SQLite takes the size that the file has
    big = [Append("red", [Draft("ann", "x" * 4000) for _ in range(50)]), Append("blue", [Draft("ann", "y")])]
    with pytest.raises(StorageError, match="free some space"):
        await journal.commit(big, NOON)
    assert (await journal.extent("red")).last == 1
    assert (await journal.extent("blue")).last == 0
    await file.write("lift the limit", limit(1_000_000))
    await journal.commit(big, NOON)
    assert (await journal.extent("red")).last == 51
    await journal.aclose()


FILLER = """
import resource, signal, sys, anyio
from datetime import UTC, datetime
from pathlib import Path
from chat_actors.storage import Append, Draft, SqliteFile, SqliteJournal, StorageError
async def main():
    journal = SqliteJournal(await SqliteFile.open(Path(sys.argv[1])))
    big = [Append("red", [Draft("ann", "x" * 4000) for _ in range(100)])]
    stored = 0
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        while True:
            await journal.commit(big, datetime.now(UTC))
            stored += 100
    except StorageError as error:
        print("refused:", error)
    assert (await journal.extent("red")).last == stored
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await journal.commit(big, datetime.now(UTC))
    assert (await journal.extent("red")).last == stored + 100
    await journal.aclose()
anyio.run(main)
"""


async def test_file_size_limit_is_an_error_until_lifted(tmp_path):
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("the size of files is limited here")
    path = tmp_path / "chat.db"
    done = await anyio.run_process([sys.executable, "-c", FILLER, str(path)], stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()
    assert b"free some space" in done.stdout
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


async def test_locked_file_refuses_writes_and_serves_reads(tmp_path):
    journal = await open_journal(tmp_path / "chat.db", busy_timeout=0.05)
    await post(journal, "before")
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="another process holds the file"):
        await post(journal, "meanwhile")
    assert [message.content for message in (await journal.page("red", limit=5)).messages] == ["before"]
    other.execute("ROLLBACK")
    other.close()
    assert (await post(journal, "after")).receipts[0].seq == 2
    await journal.aclose()


async def test_reads_do_not_wait_for_a_commit(tmp_path):
    file = await SqliteFile.open(tmp_path / "chat.db")
    journal = SqliteJournal(file)
    await post(journal, "before")
    begun, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def hold(connection):
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(10)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(file.write, "hold the file", hold)
        await begun.wait()
        assert (await journal.extent("red")).last == 1
        go_on.set()
    await journal.aclose()


async def test_last_closed_storage_closes_the_file(tmp_path):
    file = await SqliteFile.open(tmp_path / "chat.db")
    accounts, journal = SqliteAccounts(file), SqliteJournal(file)
    await journal.aclose()
    await journal.aclose()
    assert await accounts.register("alice", b"key")
    await accounts.aclose()
    with pytest.raises(StorageError, match="closed"):
        await accounts.key_of("alice")


async def test_page_cost_is_independent_of_room_size(tmp_path):
    """Counted in steps of SQLite's virtual machine, which do not depend on the load of the computer."""
    file = await SqliteFile.open(tmp_path / "chat.db")
    journal = SqliteJournal(file)
    await post(journal, *["x"] * 1000, room="small")
    for _ in range(100):
        await post(journal, *["x"] * 1000, room="large")

    async def steps(room, **where):
        counted = 0

        def count():
            nonlocal counted
            counted += 1

        def watch(connection):
            connection.set_progress_handler(count, 1)

        await file.read("count steps", watch)
        page = await journal.page(room, limit=50, **where)
        await journal.missed(room, after=3, up_to=900)
        await file.read("stop counting", lambda connection: connection.set_progress_handler(None, 1))
        assert len(page.messages) == 50
        return counted

    small = await steps("small")
    for where in ({}, {"before": 60_000}, {"after": 60_000}, {"after": 0}, {"after": 500, "before": 99_000}):
        assert await steps("large", **where) <= 1.2 * small
    await journal.aclose()


async def test_load_appends_under_new_numbers(tmp_path):
    journal = await open_journal(tmp_path / "chat.db")
    await post(journal, "before")
    assert await journal.load("red", iter([("ben", "a", NOON), ("cyd", "b", NOON)])) == 2
    assert (await post(journal, "after")).receipts[0].seq == 4
    messages = (await journal.page("red", after=0, limit=10)).messages
    assert [(message.seq, message.user_id, message.content, message.at) for message in messages] == [
        (1, "ann", "before", NOON),
        (2, "ben", "a", NOON),
        (3, "cyd", "b", NOON),
        (4, "ann", "after", NOON),
    ]
    await journal.aclose()


async def test_load_is_all_or_nothing(tmp_path):
    def messages():
        yield "ben", "a", NOON
        raise ValueError("the file ends early")

    journal = await open_journal(tmp_path / "chat.db")
    with pytest.raises(ValueError, match="ends early"):
        await journal.load("red", messages())
    assert (await journal.extent("red")).last == 0
    assert (await post(journal, "after")).receipts[0].seq == 1
    await journal.aclose()
