"""Both states adapters pass the conformance suite; SQLite's survives SIGKILL."""

import signal
import sys

import anyio
import pytest

from chat_actors.storage import MemoryStates, SqliteFile, SqliteStates
from chat_actors.testing.storage import StatesConformance
from tests.storage.sqlite_hooks import SqliteHooks


class TestMemoryStates(StatesConformance):
    async def open(self, place):
        return MemoryStates()

    async def reopen(self, adapter, place):
        return None


class TestMemoryStatesOnTrio(TestMemoryStates):
    backend = "trio"


class TestSqliteStates(SqliteHooks, StatesConformance):
    make = SqliteStates


@pytest.mark.anyio
async def test_memory_states_keep_no_empty_space():
    states = MemoryStates()
    assert await states.get("polls", "a") is None
    await states.put("polls", {"a": b"1"})
    await states.put("polls", {"a": None})
    await states.put("votes", {"a": None})
    assert states._spaces == {}


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


@pytest.mark.anyio
async def test_sqlite_put_survives_sigkill(tmp_path):
    done = await anyio.run_process([sys.executable, "-c", WRITER, tmp_path / "chat.db"], check=False)
    assert done.returncode == -signal.SIGKILL
    states = SqliteStates(await SqliteFile.open(tmp_path / "chat.db"))
    assert await states.page("polls") == [("a", b"1"), ("b", b"2")]
    await states.aclose()


@pytest.fixture(params=["memory", "sqlite"])
async def states(request, tmp_path):
    states = SqliteStates(await SqliteFile.open(tmp_path / "chat.db")) if request.param == "sqlite" else MemoryStates()
    yield states
    await states.aclose()


@pytest.mark.anyio
async def test_spaces_are_listed_by_prefix_and_position(states):
    assert await states.spaces() == []
    names = ["a.X/1", "b.X/", "b.X/1", "b.X/2", "b.Y/1", "b/1", "\U0001f600"]
    for name in reversed(names):
        await states.put(name, {"k": b"1", "l": b"2"})
    assert await states.spaces() == names
    assert await states.spaces(limit=2) == names[:2]
    assert await states.spaces(prefix="b.X/") == ["b.X/", "b.X/1", "b.X/2"]
    assert await states.spaces(prefix="b.X/", after="b.X/1") == ["b.X/2"]
    assert await states.spaces(prefix="b.X/", after="b.X/", limit=1) == ["b.X/1"]
    assert await states.spaces(after="b.Y/1") == ["b/1", "\U0001f600"]
    await states.put("b/1", {"k": None, "l": None})
    assert await states.spaces(prefix="b/") == []
