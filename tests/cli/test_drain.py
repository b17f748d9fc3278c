"""The orderly shutdown of a server process, as its clients see it."""

import asyncio
import contextlib
import json
import re
import signal
import sys

import h2.exceptions
import pytest

from chat_actors.client import generate_key, public_pem
from chat_actors.identity import sign
from tests.cli.test_commands import Process, serve
from tests.wire.http1 import open_http1
from tests.wire.http2 import Http2Connection
from tests.wire.peer import CLOSE

pytestmark = pytest.mark.anyio
NO_LIMITS = ("--set", "limits.registrations=0", "--set", "limits.messages_per_second=0")


@pytest.fixture(scope="module")
def key():
    return generate_key(2048)


@pytest.fixture
async def open_and_close():
    """Awaits a coroutine that opens a peer or connection, and closes the result after the test."""
    opened = []

    async def open_peer(opening):
        opened.append(await opening)
        return opened[-1]

    yield open_peer
    for peer in opened:
        await peer.aclose()


async def ask(peer, **command):
    await peer.send_text(json.dumps(command))
    return json.loads(await peer.receive_text())


async def log_in(peer, user_id, key, room):
    await ask(peer, type="register", userId=user_id, publicKey=public_pem(key))
    challenge = (await ask(peer, type="get_challenge"))["challenge"]
    answer = await ask(peer, type="authenticate", userId=user_id, signature=sign(key, challenge))
    assert answer["type"] == "authenticated"
    assert (await ask(peer, type="join", userId=user_id, roomId=room))["type"] == "joined"


async def until_close(peer):
    """The contents of the chat messages up to the close, and the close, which is answered."""
    posted, code, reason = await until_close_unanswered(peer)
    with contextlib.suppress(h2.exceptions.ProtocolError):  # the server may have ended the connection by now
        await peer.send_frame(CLOSE, code.to_bytes(2, "big"))
    return posted, code, reason


async def until_close_unanswered(peer):
    posted = []
    while (frame := await peer.receive()) is not None:
        if frame.opcode == CLOSE:
            return posted, int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()
        message = json.loads(frame.payload)
        if message["type"] == "chat_message":
            posted.append(message["content"])
    raise AssertionError("the connection ended without a close frame")


async def plain_hypercorn(tmp_path):
    hypercorn = [sys.executable, "-m", "hypercorn", "chat_actors.server.asgi:app", "--bind", "127.0.0.1:0"]
    env = {
        "CHAT_ACTORS_DATA__DIR": str(tmp_path / "data"),
        "CHAT_ACTORS_LIMITS__REGISTRATIONS": "0",
        "CHAT_ACTORS_LIMITS__MESSAGES_PER_SECOND": "0",
    }
    server = await Process.start(program=hypercorn, env=env)
    return server, re.search(r"http://[\d.:]+", await server.read_until("Running on"))[0]


async def chat_actors_serve(tmp_path):
    return await serve(tmp_path, *NO_LIMITS)


@pytest.mark.parametrize("start", [chat_actors_serve, plain_hypercorn])
async def test_shutdown_spreads_retries_and_loses_no_message(tmp_path, key, start, open_and_close):
    server, url = await start(tmp_path)
    port = int(url.rpartition(":")[2])
    async with server:
        shared = await open_and_close(Http2Connection.open(port))
        peers = [await open_and_close(open_http1(port)) for _ in range(30)]
        peers += [await shared.open_websocket() for _ in range(6)]
        for n, peer in enumerate(peers):
            await log_in(peer, f"user-{n}", key, "lobby")
        for n in range(20):
            await peers[n].send_text(json.dumps({"type": "chat_message", "content": str(n)}))
            while json.loads(await peers[n].receive_text()).get("content") != str(n):
                pass
        server.process.send_signal(signal.SIGTERM)
        ends = await asyncio.gather(*map(until_close, peers))
        assert {code for _, code, _ in ends} == {1012}
        reasons = [reason for _, _, reason in ends]
        assert all(re.fullmatch(r"retry after [1-9]\d*", reason) for reason in reasons), reasons
        assert len(set(reasons)) == len(peers)
        for n, (posted, _, _) in enumerate(ends):
            assert posted == [str(m) for m in range(n + 1 if n < 20 else 0, 20)]
        with pytest.raises((ConnectionRefusedError, ConnectionResetError)):  # Hypercorn's parent listens to the end
            await open_http1(port)
        code, output = await server.finish()
        assert code == 0
        assert "Traceback" not in output, output


async def test_shutdown_does_not_wait_for_clients_that_stall(tmp_path, key, open_and_close):
    server, url = await serve(tmp_path, *NO_LIMITS, "--set", "server.drain_seconds=300")
    port = int(url.rpartition(":")[2])
    async with server:
        shared = await open_and_close(Http2Connection.open(port))
        stuck = [await open_and_close(open_http1(port, receive_buffer=4096)), await shared.open_websocket()]
        for n, peer in enumerate(stuck):
            await log_in(peer, f"stuck-{n}", key, "lobby")
            peer.stop_reading()
        sender = await open_and_close(open_http1(port))
        await log_in(sender, "sender", key, "lobby")
        for n in range(100):
            assert (await ask(sender, type="chat_message", content=f"{n:>4000}"))["type"] == "chat_message"
        server.process.send_signal(signal.SIGTERM)
        assert (await until_close(sender))[1] == 1012
        assert (await server.finish())[0] == 0


async def test_second_signal_ends_the_process_at_once(tmp_path, key, open_and_close):
    server, url = await serve(tmp_path, *NO_LIMITS, "--set", "server.drain_seconds=300")
    port = int(url.rpartition(":")[2])
    async with server:
        peer = await open_and_close(open_http1(port))
        await log_in(peer, "alice", key, "lobby")
        server.process.send_signal(signal.SIGTERM)
        assert (await until_close_unanswered(peer))[1] == 1012  # and does not answer, so the server is still there
        server.process.send_signal(signal.SIGTERM)
        assert (await server.finish())[0] == 1


async def test_shutdown_answers_clients_that_log_in(tmp_path, key, open_and_close):
    server, url = await serve(tmp_path, *NO_LIMITS)
    port = int(url.rpartition(":")[2])

    async def connect_until_closed(n):
        """Connect, register and request challenges until the server closes the client or stops listening."""
        try:
            peer = await open_and_close(open_http1(port))
        except (OSError, asyncio.IncompleteReadError):
            return "refused"
        await peer.send_text(json.dumps({"type": "register", "userId": f"user-{n}", "publicKey": public_pem(key)}))
        while peer.status == 101:
            await peer.send_text(json.dumps({"type": "get_challenge"}))
            frame = await peer.receive()
            if frame is None:
                return "cut"
            if frame.opcode == CLOSE:
                return int.from_bytes(frame.payload[:2], "big")
        return peer.status

    async with server:
        logins = []
        for n in range(60):
            logins.append(asyncio.create_task(connect_until_closed(n)))
            if n == 30:
                server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0)
        ends = await asyncio.gather(*logins)
        code, output = await server.finish()
        assert code == 0
        assert "Traceback" not in output, output
        assert set(ends) <= {1012, "refused"}, ends
