"""What every storage of the state of extensions promises, and what SQLite's promises beyond that."""

import signal
import sys

import anyio
import pytest

from chat_actors.storage import MemoryStates, SqliteFile, SqliteStates, StorageError

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def states(request, tmp_path):
    opened = MemoryStates() if request.param == "memory" else SqliteStates(await SqliteFile.open(tmp_path / "chat.db"))
    yield opened
    await opened.aclose()


async def test_what_was_put_is_found(states):
    await states.put("polls", {"a": b"1", "b": b"\x00\xff"})
    assert await states.get("polls", "a") == b"1"
    assert await states.get("polls", "b") == b"\x00\xff"


async def test_what_was_never_put_is_none(states):
    assert await states.get("polls", "a") is None
    assert await states.page("polls") == []


async def test_the_last_value_counts_and_none_removes(states):
    await states.put("polls", {"a": b"1", "b": b"2"})
    await states.put("polls", {"a": b"new", "b": None, "c": None})
    assert await states.page("polls") == [("a", b"new")]
    await states.put("polls", {"a": None})
    assert await states.get("polls", "a") is None


async def test_spaces_know_nothing_of_each_other(states):
    await states.put("polls", {"a": b"1"})
    await states.put("Polls", {"a": b"2"})
    assert await states.get("polls", "a") == b"1"
    assert await states.page("poll") == []


async def test_pages_go_by_prefix_in_the_order_of_code_points(states):
    keys = ["user/b", "user/a", "user/é", "user/\U0001f600", "use", "user0", "user/A", "vser/a"]
    await states.put("polls", {key: key.encode() for key in keys})
    assert [key for key, _ in await states.page("polls", prefix="user/")] == [
        "user/A", "user/a", "user/b", "user/é", "user/\U0001f600",
    ]  # fmt: skip
    first = await states.page("polls", prefix="user/", limit=2)
    assert [key for key, _ in first] == ["user/A", "user/a"]
    rest = await states.page("polls", prefix="user/", after="user/a", limit=2)
    assert [key for key, _ in rest] == ["user/b", "user/é"]


async def test_a_closed_storage_says_so(states):
    await states.aclose()
    await states.aclose()
    for call in (states.get("polls", "a"), states.put("polls", {"a": b"1"}), states.page("polls")):
        with pytest.raises(StorageError, match="closed"):
            await call


WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from chat_actors.storage import SqliteFile, SqliteStates

async def main():
    states = SqliteStates(await SqliteFile.open(Path(sys.argv[1])))
    await states.put("polls", {"a": b"1", "b": b"2"})
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_sqlite_keeps_what_was_put_when_the_process_is_killed(tmp_path):
    done = await anyio.run_process([sys.executable, "-c", WRITER, tmp_path / "chat.db"], check=False)
    assert done.returncode == -signal.SIGKILL
    states = SqliteStates(await SqliteFile.open(tmp_path / "chat.db"))
    assert await states.page("polls") == [("a", b"1"), ("b", b"2")]
    await states.aclose()
