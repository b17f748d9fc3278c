"""Two thousand clients lose their connection at once, and rejoin with `since`."""

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
    """Records the number of messages of each page read."""

    def __init__(self, file):
        super().__init__(file)
        self.pages = []

    async def page(self, room_id, **where):
        page = await super().page(room_id, **where)
        self.pages.append(len(page.messages))
        return page


async def receive(peer, message_type):
    while (message := json.loads(await peer.receive_text()))["type"] != message_type:
        pass
    return message


async def reconnect(server, connecting, n, key, received, since=None):
    """Connect, log in, join, and receive the missed messages."""
    user_id = f"user-{n % USERS}"
    async with connecting:  # server and clients share one event loop here
        peer = await open_http1(server.port)
    await peer.send_text('{"type": "get_challenge"}')
    signature = sign(key, (await receive(peer, "challenge"))["challenge"])
    await peer.send_text(json.dumps({"type": "authenticate", "userId": user_id, "signature": signature}))
    await receive(peer, "authenticated")
    await peer.send_text(json.dumps({"type": "join", "userId": user_id, "roomId": "lobby", "since": since, "id": "q"}))
    joined = await receive(peer, "joined")
    received[n] = [(await receive(peer, "chat_message"))["seq"] for _ in range(joined.get("missed", 0))]
    return peer


async def post(peer, contents):
    for content in contents:
        await peer.send_text(json.dumps({"type": "chat_message", "content": content}))
    return [(await receive(peer, "chat_message"))["seq"] for _ in contents]


async def test_mass_reconnect_loses_no_message(tmp_path, keys):
    """Members that stayed connected receive each message once as well."""
    key, received = keys[0], {}
    file = await SqliteFile.open(tmp_path / "chat.db")
    accounts, journal = SqliteAccounts(file), CountingJournal(file)
    app = create_app(Settings(limits=NO_LIMITS), on_failure=fail_test, storage=Storage(accounts, journal))
    async with LiveServer(app) as server:
        chat = Chat("http1", server)
        connecting = asyncio.Semaphore(200)
        for n in range(USERS):
            await (await chat.client()).register(f"user-{n}", key)
        await chat.aclose()
        speaker = await reconnect(server, connecting, 0, key, received)
        observers = [await reconnect(server, connecting, n, key, received) for n in range(1, 11)]
        (last_seen,) = await post(speaker, ["before"])
        clients = [await reconnect(server, connecting, n, key, received) for n in range(CLIENTS)]
        for client in clients:
            await client.abort()
        missed = await post(speaker, [f"missed {n}" for n in range(MISSED)])
        journal.pages.clear()
        clients = await asyncio.gather(
            *(reconnect(server, connecting, n, key, received, since=last_seen) for n in range(CLIENTS))
        )
        assert Counter(map(tuple, received.values())) == {tuple(missed): CLIENTS}
        assert max(journal.pages) <= 200
        assert len(journal.pages) <= CLIENTS * (MISSED // 200 + 1)
        (live,) = await post(speaker, ["live"])
        for client in clients:
            assert (await receive(client, "chat_message"))["seq"] == live
        for observer in observers:
            seqs = [(await receive(observer, "chat_message"))["seq"] for _ in range(MISSED + 2)]
            assert seqs == [last_seen, *missed, live]
        for client in (speaker, *observers, *clients):
            await client.abort()
