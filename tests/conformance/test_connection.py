"""Connections that the server closes: the close codes, and no effect on other connections."""

import json
import logging

import pytest

from chat_actors.chat import Limits
from tests.wire.http1 import get_http1
from tests.wire.http2 import get_http2
from tests.wire.peer import BINARY, TEXT

pytestmark = pytest.mark.anyio


@pytest.fixture
def limits():
    return Limits(
        registrations=0, frame_bytes=20_000, connections_per_ip=3, messages_per_second=0, backlog_bytes=200_000
    )


@pytest.mark.parametrize("payload", [b"", b'{"type": "get_challenge"}'])
async def test_binary_frame_is_closed_with_1003(chat, payload):
    client = await chat.client()
    await client.peer.send_frame(BINARY, payload)
    assert (await client.peer.receive_close())[0] == 1003


async def test_oversized_message_is_closed_with_1009(chat):
    client = await chat.client()
    await client.peer.send_text("x" * 20_001)
    assert (await client.peer.receive_close())[0] == 1009


async def test_invalid_utf8_is_closed_with_1007(chat):
    client = await chat.client()
    await client.peer.send_frame(TEXT, b"\xff")
    assert (await client.peer.receive_close())[0] == 1007


async def test_protocol_violation_does_not_affect_others(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "general")
    bob = await (await chat.client()).log_in("bob", keys[1], "general")
    await alice.receive()
    await bob.peer.send_frame(TEXT, b"\xff")
    assert (await alice.receive())["type"] == "user_left"
    assert (await alice.ask(type="chat_message", content="still here"))["content"] == "still here"


async def test_connection_over_the_cap_is_closed_with_1008(chat):
    for _ in range(3):
        await (await chat.client()).receives_nothing()
    assert (await (await chat.client()).peer.receive_close())[0] == 1008


async def test_status_counts_clients_and_rooms(chat, keys, protocol):
    await (await chat.client()).log_in("alice", keys[0], "general")
    get = get_http1 if protocol == "http1" else get_http2
    status, headers, body = await get(chat.server.port)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"status": "ok", "clients": 1, "rooms": 1}


async def test_browser_receives_the_page(chat, protocol):
    get = get_http1 if protocol == "http1" else get_http2
    status, headers, body = await get(chat.server.port, headers=[("Accept", "text/html,*/*;q=0.8")])
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert b"<!doctype html>" in body


async def test_health_is_ok_while_actors_run(chat, protocol):
    get = get_http1 if protocol == "http1" else get_http2
    status, _, body = await get(chat.server.port, "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("opcode", "payload", "code"), [(BINARY, b"x", 1003), (TEXT, b"\xff", 1007), (TEXT, b"x" * 20_001, 1009)]
)
async def test_closed_client_leaves_one_log_line(chat, caplog, opcode, payload, code):
    caplog.set_level(logging.INFO)
    client = await chat.client()
    await client.receives_nothing()
    await client.peer.send_frame(opcode, payload)
    await client.peer.receive_close()
    await client.peer.half_close()
    await client.peer.wait_ended()
    await (await chat.client()).receives_nothing()
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("chat_actors")]
    assert f"({code}" in line
    assert "127.0.0.1" in line


async def test_eviction_loses_no_message_of_others(chat, keys, protocol):
    alice = await (await chat.client()).log_in("alice", keys[0], "general")
    slow = await (await chat.client()).log_in("slow", keys[1], "general")
    assert (await alice.receive())["type"] == "user_joined"
    slow.peer.stop_reading()
    for n in range(5000):
        answer = await alice.ask(type="chat_message", content=f"{n:>4000}")
        if answer["type"] == "user_left":
            break
        assert int(answer["content"]) == n
    assert answer["userId"] == "slow"
    assert int((await alice.receive())["content"]) == n
