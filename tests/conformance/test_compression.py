"""A room with members that negotiate compression and members that do not."""

import pytest

from chat_actors.chat import Storage
from chat_actors.server.app import create_app
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts
from tests.conformance.conftest import Chat
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio

OFFER = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")]


@pytest.mark.parametrize("is_enabled", [False, True])
async def test_compression_does_not_change_messages(protocol, limits, keys, is_enabled):
    settings = Settings(server=ServerSettings(compression=is_enabled), limits=limits)
    app = create_app(settings, on_failure=fail_test, storage=Storage(MemoryAccounts()))
    async with LiveServer(app) as server:
        chat = Chat(protocol, server)
        alice = await (await chat.client(headers=OFFER)).log_in("alice", keys[0], "general")
        assert ("sec-websocket-extensions" in alice.peer.headers) is is_enabled
        bob = await (await chat.client()).log_in("bob", keys[1], "general")
        await alice.receive()
        for content in ("short", "long " * 500):
            await bob.send(type="chat_message", content=content)
            received = [await client.receive() for client in (alice, bob)]
            assert received[0] == received[1]
            assert received[0]["content"] == content
        await chat.aclose()
