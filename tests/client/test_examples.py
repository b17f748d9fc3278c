"""The programs of docs/examples against a real server."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from chat_actors.client import Identity, connect, generate_key
from tests.cli.test_commands import Process, serve
from tests.patience import PATIENCE

pytestmark = pytest.mark.anyio
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
async def lobby(tmp_path):
    server, url = await serve(tmp_path)
    async with server, connect(url, Identity("alice", generate_key(2048))) as chat, chat.room("lobby") as room:
        yield url, room


async def example(name, tmp_path, *arguments):
    program = [sys.executable, str(EXAMPLES / name)]
    return await Process.start(*arguments, program=program, env={"HOME": str(tmp_path / "home")})


async def next_from(room, user_id):
    async with asyncio.timeout(PATIENCE):
        async for message in room:
            if message.user_id == user_id:
                return message.content
    raise AssertionError("the room was closed")


async def test_dice_bot_answers_and_stops_at_ctrl_c(lobby, tmp_path):
    url, room = lobby
    async with await example("dice_bot.py", tmp_path, url, "lobby") as bot:
        await bot.read_until("dice-bot is in lobby")
        await room.say("!roll")
        assert (await next_from(room, "dice-bot")).startswith("alice rolled a ")
        bot.process.send_signal(signal.SIGINT)
        assert await bot.finish() == (0, "")


async def test_notifier_posts_one_message(lobby, tmp_path):
    url, room = lobby
    async with await example("notifier.py", tmp_path, url, "lobby", "the backup is done") as notifier:
        assert await notifier.finish() == (0, "message 1 of lobby\n")
    assert await next_from(room, "notifier") == "the backup is done"


async def test_notifier_without_server_prints_one_line(tmp_path):
    async with await example("notifier.py", tmp_path, "http://127.0.0.1:9", "lobby", "anybody?") as notifier:
        code, output = await notifier.finish()
    assert code == 1
    assert output.endswith("is the server up?\n")
    assert output.count("\n") == 1


async def test_log_bridge_follows_a_rotated_file(lobby, tmp_path):
    url, room = lobby
    log = tmp_path / "app.log"
    log.write_text("long ago\n")
    async with await example("log_bridge.py", tmp_path, url, "lobby", log) as bridge:
        await bridge.read_until("following")
        with log.open("a") as file:
            file.write("first\n\nhalf of the ")
            file.flush()
            assert await next_from(room, "log-bridge") == "first"
            file.write("second\n")
        assert await next_from(room, "log-bridge") == "half of the second"
        log.rename(tmp_path / "app.log.1")
        log.write_text("third\n")
        assert await next_from(room, "log-bridge") == "third"
        bridge.process.send_signal(signal.SIGINT)
        assert (await bridge.finish())[0] == 0
