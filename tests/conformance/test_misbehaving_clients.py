"""Clients that do not read, do not answer, half-close or send too early must not affect other clients."""

import asyncio
import json
import logging

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from chat_actors.chat import Limits
from tests.patience import PATIENCE
from tests.wire.http1 import upgrade_request
from tests.wire.http2 import Http2Connection, connect_fields
from tests.wire.peer import CLOSE, PING, PONG

pytestmark = pytest.mark.anyio

MEMBERS = 5


@pytest.fixture
def limits(request):
    pings = getattr(request, "param", 0.0)
    return Limits(registrations=0, messages_per_second=0, backlog_bytes=200_000, ping_seconds=pings)


@pytest.fixture(scope="module")
def key():
    return generate_private_key(65537, 2048)


def warnings(caplog):
    """Log records of level WARNING and above."""
    return [record.getMessage() for record in caplog.records if record.levelname not in {"DEBUG", "INFO"}]


async def clients_in_a_room(chat, key, number):
    """Clients in one room, each of which has received `user_joined` for all later ones."""
    clients = []
    for n in range(number):
        clients.append(await (await chat.client()).log_in(f"user{n}", key, "general"))
        for earlier in clients[:-1]:
            assert (await earlier.receive())["type"] == "user_joined"
    return clients


async def test_slow_client_is_evicted_within_a_second(chat, key, caplog):
    """The other members receive every message in order."""
    caplog.set_level(logging.INFO)
    *others, slow = await clients_in_a_room(chat, key, MEMBERS)
    slow.peer.stop_reading()
    contents, announced = [[] for _ in others], []
    for n in range(3000):
        await others[0].send(type="chat_message", content=f"{n:>4000}")
        for number, client in enumerate(others):
            while (message := await client.receive())["type"] != "chat_message":
                announced.append((number, message["type"], message["userId"]))
            contents[number].append(int(message["content"]))
        if len(announced) == len(others):
            break
    assert contents == [list(range(n + 1))] * len(others)
    assert announced == [(number, "user_left", f"user{MEMBERS - 1}") for number in range(len(others))]
    lines = [record for record in caplog.records if "4008" in record.getMessage()]
    assert len(lines) == 1, "the eviction is logged once"
    async with asyncio.timeout(1.5):
        while count_websocket_tasks(chat.protocol) > len(others):  # noqa: ASYNC110 - no event tells when a task of the server ends
            await asyncio.sleep(0.01)
    for client in others:
        await client.receives_nothing()
    assert warnings(caplog) == []


def count_websocket_tasks(protocol):
    """Return the number of the server's WebSocket tasks: one for each connection or stream."""
    coroutine = "_server_callback" if protocol == "http1" else "_run_app"
    return sum(coroutine in repr(task.get_coro()) for task in asyncio.all_tasks())


@pytest.mark.parametrize("limits", [1.0], indirect=True)  # seconds; a login takes less
async def test_client_without_pongs_is_closed(chat, key, caplog):
    """A client that answers its pings stays connected."""
    alive, dead = await clients_in_a_room(chat, key, 2)

    async def answer_pings():
        """Answer pings until a member leaves."""
        while True:
            frame = await alive.peer.receive()
            if frame.opcode == PING:
                await alive.peer.send_frame(PONG, frame.payload)
            elif json.loads(frame.payload)["type"] == "user_left":
                return json.loads(frame.payload)["userId"]

    assert await answer_pings() == "user1"
    frames = [frame.opcode for frame in await remaining_frames(dead.peer)]
    assert frames == [PING, PING, CLOSE]
    assert warnings(caplog) == []


async def remaining_frames(peer):
    frames = []
    while (frame := await peer.receive()) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize("number", [1, 63, 64, 65, 500])
async def test_posts_before_a_half_close_are_delivered(chat, key, number, caplog):
    alice, bob = await clients_in_a_room(chat, key, 2)
    for n in range(number):
        await bob.send(type="chat_message", content=str(n))
    await bob.peer.half_close()
    assert [(await alice.receive())["content"] for _ in range(number)] == [str(n) for n in range(number)]
    assert (await alice.receive())["type"] == "user_left"
    await bob.peer.wait_ended()
    assert warnings(caplog) == []


async def test_client_that_ignores_a_close_leaves_its_room(chat, key):
    alice, bob = await clients_in_a_room(chat, key, 2)
    await bob.peer.send_frame(0x2, b"binary")
    assert (await bob.peer.receive_close())[0] == 1003
    left = await asyncio.wait_for(alice.receive(), 1.5)
    assert (left["type"], left["userId"]) == ("user_left", "user1")


async def test_data_before_the_handshake_answer_is_refused(chat, protocol, caplog):
    """The server logs no warning, and other clients are not affected."""
    if protocol == "http2":
        connection = await Http2Connection.open(chat.server.port)
        connection.h2.send_headers(1, connect_fields())
        connection.h2.send_data(1, b"too early")
        await connection.flush()
        await connection.aclose()
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", chat.server.port)
        writer.write(upgrade_request() + b"too early")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.transport.abort()
    await (await chat.client()).receives_nothing()
    assert warnings(caplog) == []
