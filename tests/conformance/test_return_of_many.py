"""Two thousand clients lose their line at once, and come back for what they missed."""

import asyncio
import json
from collections import Counter

import pytest

from chat_actors.chat import Limits, Storage
from chat_actors.identity import sign
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import SqliteAccounts, SqliteFile, SqliteJournal
from tests.conformance.conftest import Chat
from tests.wire.http1 import open_http1
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio
CLIENTS = 2000
USERS = 100
MISSED = 250
NO_LIMITS = Limits(registrations=0, messages_per_second=0, connections_per_ip=0, ping_seconds=0)


class CountingJournal(SqliteJournal):
    """Notes how many messages each page had that was read."""

    def __init__(self, file):
        super().__init__(file)
        self.pages = []

    async def page(self, room_id, **where):
        page = await super().page(room_id, **where)
        self.pages.append(len(page.messages))
        return page


async def receive(peer, kind):
    while (message := json.loads(await peer.receive_text(within=60)))["type"] != kind:
        pass
    return message


async def come(server, knocking, n, key, heard, since=None):
    """Connect, log in, enter, and hear what was missed."""
    user_id = f"user-{n % USERS}"
    async with knocking:  # server and clients share one event loop here
        peer = await open_http1(server.port)
    await peer.send_text('{"type": "get_challenge"}')
    signature = sign(key, (await receive(peer, "challenge"))["challenge"])
    await peer.send_text(json.dumps({"type": "authenticate", "userId": user_id, "signature": signature}))
    await receive(peer, "authenticated")
    await peer.send_text(json.dumps({"type": "join", "userId": user_id, "roomId": "lobby", "since": since, "id": "q"}))
    joined = await receive(peer, "joined")
    heard[n] = [(await receive(peer, "chat_message"))["seq"] for _ in range(joined.get("missed", 0))]
    return peer


async def say(peer, contents):
    for content in contents:
        await peer.send_text(json.dumps({"type": "chat_message", "content": content}))
    return [(await receive(peer, "chat_message"))["seq"] for _ in contents]


@pytest.mark.timeout(120)
async def test_all_are_live_again_with_nothing_missed_and_nobody_else_notices(tmp_path, keys):
    key, heard = keys[0], {}
    file = await SqliteFile.open(tmp_path / "chat.db")
    accounts, journal = SqliteAccounts(file), CountingJournal(file)
    app = create_app(Settings(limits=NO_LIMITS), on_failure=fail_test, storage=Storage(accounts, journal))
    async with LiveServer(app) as server:
        chat = Chat("http1", server)
        knocking = asyncio.Semaphore(200)
        for n in range(USERS):
            await (await chat.client()).register(f"user-{n}", key)
        await chat.aclose()
        speaker = await come(server, knocking, 0, key, heard)
        witnesses = [await come(server, knocking, n, key, heard) for n in range(1, 11)]
        (seen,) = await say(speaker, ["before"])
        clients = [await come(server, knocking, n, key, heard) for n in range(CLIENTS)]
        for client in clients:
            await client.abort()
        missed = await say(speaker, [f"missed {n}" for n in range(MISSED)])
        journal.pages.clear()
        clients = await asyncio.gather(*(come(server, knocking, n, key, heard, since=seen) for n in range(CLIENTS)))
        assert Counter(map(tuple, heard.values())) == {tuple(missed): CLIENTS}
        assert max(journal.pages) <= 200
        assert len(journal.pages) <= CLIENTS * (MISSED // 200 + 1)
        (live,) = await say(speaker, ["live"])
        for client in clients:
            assert (await receive(client, "chat_message"))["seq"] == live
        for witness in witnesses:
            assert [(await receive(witness, "chat_message"))["seq"] for _ in range(MISSED + 2)] == [seen, *missed, live]
        for client in (speaker, *witnesses, *clients):
            await client.abort()
