"""The JavaScript client in Node: without a network, and against a real server."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from chat_actors.client import Identity, generate_key
from chat_actors.client.sync import connect
from chat_actors.protocol import messages
from chat_actors.server.web_files import WEB
from tests.patience import PATIENCE
from tests.web.conftest import over_http1

JAVASCRIPT = Path(__file__).parents[2] / "docs" / "reference" / "javascript.md"
HERE = Path(__file__).parent / "node"
UNIT_TESTS = sorted(path.name for path in HERE.glob("*.test.mjs") if path.name != "live.test.mjs")
OLDEST = 20
NO_NODE = "no Node 20 or later on this machine: apt-get install nodejs, or https://nodejs.org"


@pytest.fixture(scope="module")
def node():
    path = shutil.which("node")
    version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout if path else ""
    number = re.match(r"v(\d+)", version)
    if number is None or int(number[1]) < OLDEST:
        (pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip)(NO_NODE)
    # Before Node 22 the built-in WebSocket needs a flag.
    return [path, *(["--experimental-websocket"] if int(number[1]) < 22 else [])]


def run(node, file, **env):
    """Run a file of tests. Node runs it in a process of its own, which is ended too."""
    running = subprocess.Popen(
        [*node, "--test", str(HERE / file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **env},
        start_new_session=True,
    )
    try:
        output, _ = running.communicate(timeout=PATIENCE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    assert running.returncode == 0, output
    passed = re.search(r"^# pass (\d+)$", output, re.MULTILINE)
    assert int(passed[1]) >= 3, output


@pytest.mark.parametrize("file", UNIT_TESTS)
def test_javascript_client_passes_its_unit_tests(node, file):
    run(node, file)


@over_http1
def test_users_in_node_talk_over_a_real_server(node, served):
    run(node, "live.test.mjs", CHAT_URL=served.url)


@over_http1
def test_documented_bot_keeps_its_key(node, served, tmp_path):
    program = re.search(r"```js\n(.*?)```", JAVASCRIPT.read_text(), re.DOTALL)[1]
    (tmp_path / "bot.mjs").write_text(program.replace("http://127.0.0.1:8080", served.url))
    shutil.copytree(WEB / "client", tmp_path / "chat-client")
    identity = Identity("alice", generate_key(2048))
    with connect(served.url, identity) as chat, chat.room("lobby") as room:
        for _ in range(2):
            with subprocess.Popen([*node, "bot.mjs"], cwd=tmp_path) as bot:
                while not isinstance(event := room.receive(timeout=PATIENCE), messages.UserJoined):
                    pass
                assert event.user_id == "echo-bot"
                room.say("Are you there, bot?")
                while (message := room.receive_message(timeout=PATIENCE)).user_id == "alice":
                    pass
                assert (message.user_id, message.content) == ("echo-bot", "Yes, alice.")
                bot.kill()
            while not isinstance(room.receive(timeout=PATIENCE), messages.UserLeft):
                pass
