"""Clients that send data or a reset before the handshake is answered."""

import asyncio
import logging

import pytest

from tests.patience import PATIENCE
from tests.server.transport.apps import eventually
from tests.wire.http1 import upgrade_request
from tests.wire.http2 import Http2Connection, connect_fields
from tests.wire.peer import TEXT, frame_bytes

pytestmark = pytest.mark.anyio


async def open_hastily(chat, data):
    """Send the handshake and at once `data`, or a reset if that is None. Wait for the end of the connection."""
    if chat.protocol == "http1":
        reader, writer = await asyncio.open_connection("127.0.0.1", chat.server.port)
        writer.write(upgrade_request() + (data or b""))
        if data is None:
            writer.transport.abort()
        else:
            async with asyncio.timeout(PATIENCE):
                await reader.read()
            writer.transport.abort()
        return
    connection = await Http2Connection.open(chat.server.port)
    stream_id = connection.h2.get_next_available_stream_id()
    connection.h2.send_headers(stream_id, connect_fields())
    if data is None:
        connection.h2.reset_stream(stream_id)
    else:
        connection.h2.send_data(stream_id, data)
    await connection.flush()
    ping = asyncio.Event()
    connection._on_event = lambda event: ping.set() if type(event).__name__ == "PingAckReceived" else None
    connection.h2.ping(b"liveness")
    await connection.flush()
    async with asyncio.timeout(PATIENCE):
        await ping.wait()
    await connection.aclose()


@pytest.mark.parametrize("data", [None, frame_bytes(TEXT, b'{"type": "get_challenge"}')], ids=["reset", "data"])
async def test_early_data_or_reset_leaves_no_session(chat, caplog, data):
    for _ in range(3):
        await open_hastily(chat, data)
    client = await chat.client()
    await client.receives_nothing()
    system = chat.server.app.extensions["chat_actors"].system
    await eventually(lambda: len(system.tree()[-1].children) == 1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
