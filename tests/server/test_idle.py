"""The cost of an idle member."""

import asyncio
import gc

import h11
import pytest
from quart import Websocket
from wsproto.connection import Connection

from chat_actors.chat import Storage
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts
from tests.conformance.conftest import Chat, keys, limits  # noqa: F401 - fixtures
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio

MEMBERS = 5


KINDS = (Websocket, h11.Connection, Connection)


def alive():
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, KINDS)]


async def test_idle_member_costs_one_task(keys, limits):  # noqa: F811
    """An idle member on HTTP/1.1 has one task, and no object of its request or of a parser."""
    app = create_app(Settings(limits=limits), on_failure=fail_test, storage=Storage(MemoryAccounts()))
    others = alive()  # of earlier tests; held here, so that no new object has one of their ids
    other_ids = set(map(id, others))
    async with LiveServer(app) as server:
        chat = Chat("http1", server)
        await (await chat.client()).log_in("alice", keys[0], "general")
        tasks = asyncio.all_tasks()
        for n in range(MEMBERS):
            await (await chat.client()).log_in(f"user-{n}", keys[0], "general")
        of_the_peers = MEMBERS  # each reads in a task of its own
        assert len(asyncio.all_tasks() - tasks) - of_the_peers == MEMBERS
        assert [type(thing).__name__ for thing in alive() if id(thing) not in other_ids] == []
        await chat.aclose()
