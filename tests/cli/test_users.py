"""The commands for accounts, and what a server does with removed users at its start."""

import pytest

from chat_actors.client import AccessRefused, Identity, connect, generate_key
from chat_actors.storage import SqliteAccounts, SqliteFile, SqliteStates
from tests.cli.test_commands import serve
from tests.cli.test_data import run

pytestmark = pytest.mark.anyio


@pytest.fixture
async def folder(tmp_path):
    """A data folder with two users, one of whom has a direct message and a vote."""
    file = await SqliteFile.open(tmp_path / "data" / "chat.db")
    accounts, states = SqliteAccounts(file), SqliteStates(file)
    for user_id in ("alice", "bob"):
        await accounts.register(user_id, b"key")
    await states.put("direct.Direct/alice", {"last": b"7"})
    await states.put("polls.PollRoom/den", {})
    await states.aclose()
    await accounts.aclose()
    return tmp_path / "data"


async def state_of(folder, space):
    states = SqliteStates(await SqliteFile.open(folder / "chat.db"))
    found = await states.page(space)
    await states.aclose()
    return found


async def start_once(tmp_path, *arguments):
    server, url = await serve(tmp_path, *arguments)
    async with server:
        yield url


def removed(folder):
    return [line.split("\t") for line in run("users", "list", "--removed", "--dir", folder)[1].splitlines()]


async def test_removed_id_is_listed_and_stays_reserved(folder):
    code, out, _ = run("users", "remove", "alice", "--yes", "--dir", folder)
    assert (code, out) == (0, "alice is removed; the id stays reserved\n")
    ((user_id, at, told),) = removed(folder)
    assert (user_id, at[:2], told) == ("alice", "20", "")
    assert run("users", "list", "--dir", folder)[1].startswith("bob\t")


async def test_only_reserved_ids_can_be_released(folder):
    for user_id in ("alice", "carol"):
        for flags in ((), ("--anyway",)):
            code, _, err = run("users", "release", user_id, *flags, "--dir", folder)
            assert code == 1
            assert f"the id {user_id!r} is not reserved" in err
    run("users", "remove", "alice", "--yes", "--dir", folder)
    assert run("users", "release", "alice", "--anyway", "--dir", folder)[1] == "alice can be registered again\n"
    assert removed(folder) == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_released_id_is_free_after_a_start_with_the_extensions(folder, tmp_path, at_once):
    """The direct message is erased. A start without the extension that has stored it does not free the id."""
    run("users", "remove", "alice", *(["--release"] if at_once else []), "--yes", "--dir", folder)
    if not at_once:
        assert run("users", "release", "alice", "--dir", folder)[0] == 0
    assert removed(folder)[0][3] == "to be released"
    identity = Identity("alice", generate_key(2048))
    async for url in start_once(tmp_path):
        with pytest.raises(AccessRefused, match="not registered"):
            async with connect(url, identity) as chat, chat.room("red"):
                pass
    assert await state_of(folder, "direct.Direct/alice")
    async for url in start_once(tmp_path, "--extension", "direct"):
        async with connect(url, identity) as chat, chat.room("red"):
            pass
    assert removed(folder) == []
    assert await state_of(folder, "direct.Direct/alice") == []
