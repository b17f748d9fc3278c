"""What an idle member costs."""

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


def alive(*kinds):
    gc.collect()
    return [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds)]


async def test_an_idle_member_on_http1_has_one_task_and_nothing_of_its_request_or_of_a_parser(keys, limits):  # noqa: F811
    app = create_app(Settings(limits=limits), on_failure=fail_test, storage=Storage(MemoryAccounts()))
    async with LiveServer(app) as server:
        chat = Chat("http1", server)
        await (await chat.client()).log_in("alice", keys[0], "general")
        tasks = len(asyncio.all_tasks())
        for n in range(MEMBERS):
            await (await chat.client()).log_in(f"user-{n}", keys[0], "general")
        of_the_peers = MEMBERS  # each reads in a task of its own
        assert len(asyncio.all_tasks()) - tasks - of_the_peers == MEMBERS
        assert alive(Websocket, h11.Connection, Connection) == []
        await chat.aclose()
