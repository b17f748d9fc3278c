"""A server that is killed repeatedly under load: accepted messages are stored once, and all readers see the same."""

import asyncio
import contextlib
import json
import random
import resource
import signal
import socket
import sqlite3

import pytest

from chat_actors.client import Backoff, ConnectionLost, Gap, Identity, connect, generate_key
from chat_actors.protocol import messages
from tests.cli.test_commands import Process
from tests.cli.test_drain import log_in
from tests.patience import PATIENCE
from tests.wire.http1 import open_http1

pytestmark = pytest.mark.anyio
WRITERS = 20
READERS = 4
KILLS = 20
SEED = 4
NO_LIMITS = (
    "--set",
    "limits.registrations=0",
    "--set",
    "limits.messages_per_second=0",
    "--set",
    "limits.rooms_per_minute=0",
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server that restarts at the same address with the same data."""

    def __init__(self, folder, *arguments):
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.arguments = ("serve", "--bind", f"127.0.0.1:{self.port}", "--dir", folder / "data", *NO_LIMITS, *arguments)
        self.process = None

    async def start(self):
        self.process, _ = await Process.start_until("to stop", *self.arguments)

    async def kill(self):
        self.process.process.send_signal(signal.SIGKILL)
        await self.process.finish()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *exc):
        self.process.process.kill()
        await self.process.finish()


@contextlib.asynccontextmanager
async def lobby(server, user_id, key, *, reconnect=True, listen=True):
    """The room as the user has joined it."""
    quick = lambda: Backoff(random.random, first=0.1, longest=0.3)  # noqa: E731
    async with (
        connect(server.url, Identity(user_id, key), backoff=quick, reconnect=reconnect) as chat,
        chat.room("lobby", listen=listen) as room,
    ):
        yield room


async def write(server, user_id, key, accepted, pause=0.0):
    """Post one message after the other, and record the number of each accepted one."""
    async with lobby(server, user_id, key, listen=False) as room:
        n = 0
        while True:
            content = f"{user_id} {n}"
            accepted[content] = (await room.say(content)).seq
            n += 1
            await asyncio.sleep(pause)


async def read(server, user_id, key, received):
    async with lobby(server, user_id, key) as room:
        async for event in room.events():
            if isinstance(event, messages.ChatMessage | Gap):
                received.append(event)


async def full_history(room):
    found, last = [], 0
    while True:
        page = await room.history(after=last, limit=200)
        found += page.messages
        if not page.more:
            return found
        last = page.last


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the condition depends on another process, which sets no event here
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def writers_and_readers(server, key, accepted, streams, pause=0.005):
    """Run writers and readers until the end of the block; then wait until the readers have received everything."""
    reading = [asyncio.create_task(read(server, f"reader-{n}", key, received)) for n, received in enumerate(streams)]
    writing = [asyncio.create_task(write(server, f"writer-{n}", key, accepted, pause)) for n in range(WRITERS)]
    try:
        yield
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        last = max(accepted.values())
        await until(lambda: all(received and received[-1].seq >= last for received in streams))
        assert not any(task.done() for task in reading)
    finally:
        for task in (*reading, *writing):
            task.cancel()
        await asyncio.gather(*reading, *writing, return_exceptions=True)


def check(stored, accepted, streams):
    """Each accepted message is stored once, in the order of its writer, and each reader received what is stored."""
    contents = [message.content for message in stored]
    assert len(contents) == len(set(contents)), "a message is stored twice"
    seqs = {message.content: message.seq for message in stored}
    assert {content: seqs.get(content) for content in accepted} == accepted, "an accepted message is missing"
    for n in range(WRITERS):
        numbers = [int(content.split()[1]) for content in contents if content.startswith(f"writer-{n} ")]
        assert numbers == list(range(len(numbers))), f"writer {n} is out of order"
    by_seq = {message.seq: message for message in stored}
    for received in streams:
        numbers = [message.seq for message in received]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "a reader's stream has a gap or a repeat"
        assert received == [by_seq[number] for number in numbers], "a reader received a message that is not stored"


async def test_kills_keep_every_message_once_and_in_order(tmp_path):
    rng = random.Random(SEED)
    key = generate_key(2048)
    accepted, streams = {}, [[] for _ in range(READERS)]
    async with Server(tmp_path) as server:
        async with writers_and_readers(server, key, accepted, streams):
            for _ in range(KILLS):
                before = len(accepted)
                await until(lambda before=before: len(accepted) > before)  # messages are accepted again
                await asyncio.sleep(rng.random() * 0.4)
                await server.kill()
                await server.start()
            before = len(accepted)
            await until(lambda: len(accepted) > before + WRITERS)
        async with lobby(server, "observer", key) as room:
            stored = await full_history(room)
    check(stored, accepted, streams)
    assert len(stored) > KILLS * WRITERS


@contextlib.asynccontextmanager
async def plain_client(server, key):
    """A client that does not use the client library, joined to the room."""
    peer = await open_http1(server.port)
    try:
        await log_in(peer, "plain", key, "lobby")
        yield peer
    finally:
        await peer.aclose()


async def refusal(peer):
    """The code and id of the error for a message that cannot be stored."""
    await peer.send_text('{"type": "chat_message", "content": "plain words", "id": "q"}')
    while (message := json.loads(await peer.receive_text()))["type"] != "error":
        assert message.get("content") != "plain words"
    return message["code"], message["id"]


async def test_full_disk_refuses_messages_until_freed(tmp_path):
    key = generate_key(2048)
    accepted, streams = {}, [[] for _ in range(READERS)]
    async with Server(tmp_path) as server:
        async with plain_client(server, key) as plain, writers_and_readers(server, key, accepted, streams, pause=0.02):
            await until(lambda: len(accepted) > WRITERS)
            pid = server.process.process.pid
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            largest = max(file.stat().st_size for file in (tmp_path / "data").iterdir())
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + 100_000, hard))
            await server.process.read_until("free some space")
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))  # what is left would do for one short message
            assert await refusal(plain) == ("not_stored", "q")
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
            await server.process.read_until("messages are stored again")
            before = len(accepted)
            await until(lambda: len(accepted) > before + WRITERS)
        async with lobby(server, "observer", key) as room:
            stored = await full_history(room)
    check(stored, accepted, streams)
    assert "plain words" not in [message.content for message in stored]
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "chat.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_locked_file_refuses_messages_until_unlocked(tmp_path):
    key = generate_key(2048)
    accepted, streams = {}, [[] for _ in range(READERS)]
    async with Server(tmp_path) as server:
        async with plain_client(server, key) as plain, writers_and_readers(server, key, accepted, streams, pause=0.02):
            await until(lambda: len(accepted) > WRITERS)
            with contextlib.closing(sqlite3.connect(tmp_path / "data" / "chat.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                await server.process.read_until("another process holds the file")
                assert await refusal(plain) == ("not_stored", "q")
                other.execute("ROLLBACK")
            await server.process.read_until("messages are stored again")
            before = len(accepted)
            await until(lambda: len(accepted) > before + WRITERS)
        async with lobby(server, "observer", key) as room:
            stored = await full_history(room)
    check(stored, accepted, streams)


async def test_terminal_shows_history_and_reconnects(tmp_path):
    env = {"HOME": str(tmp_path / "home")}
    async with Server(tmp_path) as server:
        arguments = ("--room", "lobby", "--url", server.url)
        async with await Process.start("chat", "--as", "alice", *arguments, env=env) as alice:
            await alice.read_until("you are in lobby")
            await alice.type("before bob joins")
            await alice.read_until("alice: before bob joins")
            async with await Process.start("chat", "--as", "bob", *arguments, env=env) as bob:
                printed = await bob.read_until("you are in lobby")
                assert "alice: before bob joins" in printed
                await server.kill()
                await bob.read_until("trying again in")
                await bob.type("while it was down")
                await server.start()
                await bob.read_until("connected again")
                await alice.read_until("bob: while it was down")
                code, output = await bob.finish()
                assert code == 0
                assert (printed + output).count("before bob joins") == 1


async def test_killed_server_raises_connection_lost(tmp_path):
    key = generate_key(2048)
    async with Server(tmp_path) as server, lobby(server, "alice", key, reconnect=False) as room:
        await server.kill()
        with pytest.raises(ConnectionLost):
            await room.say("hello")
        await server.start()
