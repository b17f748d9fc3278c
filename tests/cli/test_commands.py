"""The commands as a user runs them: with real processes, sockets and files."""

import asyncio
import os
import re
import signal
import stat
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner

from chat_actors.cli.main import main
from chat_actors.client import ConnectionLost, Identity, connect, generate_key
from chat_actors.extensions.moderation import Kick, Moderation
from chat_actors.protocol import messages
from tests.patience import PATIENCE
from tests.wire.certificate import client_context, write_certificate
from tests.wire.http2 import Http2Connection

pytestmark = pytest.mark.anyio
PROGRAM = [sys.executable, "-c", "from chat_actors.cli.main import main; main(prog_name='chat-actors')"]

INSTALLED = [str(Path(sysconfig.get_path("scripts"), "chat-actors"))]
"""The program as a reader of the documentation runs it: the current folder is not on Python's path."""


class Process:
    """A running command."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def start(cls, *arguments, program=PROGRAM, env=None, cwd=None):
        return cls(
            await asyncio.create_subprocess_exec(
                *program,
                *map(str, arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
            )
        )

    @classmethod
    async def start_until(cls, text, *arguments, **options):
        """Start a command and wait for a line with `text`. Returns the process and the output up to that line."""
        process = await cls.start(*arguments, **options)
        try:
            return process, await process.read_until(text)
        except BaseException:
            process.process.kill()
            await process.process.communicate()
            raise

    async def read_until(self, text):
        """Wait for a line with `text`. Returns the output up to and including it."""
        printed = ""
        async with asyncio.timeout(PATIENCE):
            while text not in printed:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"the process ended without {text!r}: {printed}"
                printed += line
        return printed

    async def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def wait(self):
        """Wait for the end with the input open. Returns the exit code and the rest of the output."""
        async with asyncio.timeout(PATIENCE):
            output = await self.process.stdout.read()
            return await self.process.wait(), output.decode()

    async def finish(self):
        """Close the input and wait for the end. Returns the exit code and the rest of the output."""
        async with asyncio.timeout(PATIENCE):
            output, _ = await self.process.communicate(b"")
        return self.process.returncode, output.decode()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        if self.process.returncode is None:
            self.process.kill()
        await self.finish()


async def serve(tmp_path, *arguments):
    words = ("serve", "--bind", "127.0.0.1:0", "--dir", tmp_path / "data", *arguments)
    server, printed = await Process.start_until("to stop", *words)
    return server, re.search(r"https?://[\d.:]+", printed)[0]


async def start_chat(tmp_path, url, room_id):
    """Start the plain chat of `alice` in a room."""
    arguments = ("chat", "--as", "alice", "--room", room_id, "--url", url)
    env = {"HOME": str(tmp_path / "home")}
    chat, _ = await Process.start_until(f"you are in {room_id}", *arguments, env=env)
    return chat


async def test_two_users_chat_over_a_new_server(tmp_path):
    server, url = await serve(tmp_path)
    env = {"HOME": str(tmp_path / "home")}
    async with server, await Process.start("chat", "--as", "alice", "--room", "lobby", "--url", url, env=env) as alice:
        await alice.read_until("you are in lobby")
        async with await Process.start("chat", "--as", "bob", "--room", "lobby", "--url", url, env=env) as bob:
            await bob.read_until("you are in lobby")
            await alice.read_until("bob joined the room")
            await bob.type("hello from bob")
            await alice.read_until("bob: hello from bob")
            assert (await bob.finish())[0] == 0
        await alice.read_until("bob left the room")
        (key,) = (tmp_path / "home").rglob("alice.pem")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


async def test_plain_chat_ends_at_ctrl_c(tmp_path):
    """The chat ends although its input stays open."""
    server, url = await serve(tmp_path)
    async with server, await start_chat(tmp_path, url, "lobby") as alice:
        await alice.type("hello")
        await alice.read_until("alice: hello")
        alice.process.send_signal(signal.SIGINT)
        assert await alice.wait() == (0, "")


async def test_plain_chat_ends_when_user_is_kicked(tmp_path):
    """The chat ends although its input stays open."""
    server, url = await serve(tmp_path, "--extension", "moderation")
    owner = Identity("owner", generate_key(2048))
    async with (
        server,
        connect(url, owner, messages=[Moderation]) as chat,
        chat.room("den") as den,
        await start_chat(tmp_path, url, "den") as alice,
    ):
        await den.ask(Kick("alice"), Moderation)
        code, output = await alice.wait()
    assert code == 1
    assert "out of the room den: owner put you out of this room." in output


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_signal_drains_and_accounts_survive(tmp_path, stop):
    key = generate_key(2048)
    server, url = await serve(tmp_path)
    async with server, connect(url, Identity("alice", key), reconnect=False) as chat, chat.room("lobby") as room:
        server.process.send_signal(stop)
        with pytest.raises(ConnectionLost, match="retry after 100"):
            async for _ in room:
                pass
        assert (await server.finish())[0] == 0
    server, url = await serve(tmp_path)
    async with server, connect(url, Identity("alice", key)) as chat, chat.room("lobby") as room:
        assert type(await room.receive()) is messages.Joined


async def test_tls_offers_http1_and_http2_by_alpn(tmp_path):
    certfile, keyfile = write_certificate(tmp_path)
    server, url = await serve(tmp_path, "--certfile", certfile, "--keyfile", keyfile)
    async with server:
        assert url.startswith("https://")
        key = generate_key(2048)
        tls = client_context(certfile, "http/1.1")
        async with connect(url, Identity("alice", key), tls=tls) as chat, chat.room("lobby") as room:
            assert type(await room.receive()) is messages.Joined
        connection = await Http2Connection.open(int(url.rpartition(":")[2]), client_context(certfile, "h2"))
        peer = await connection.open_websocket()
        assert peer.status == 200
        await peer.send_text('{"type": "get_challenge"}')
        assert '"challenge"' in await peer.receive_text()
        await connection.aclose()


async def test_plain_hypercorn_serves_the_app(tmp_path):
    hypercorn = [sys.executable, "-m", "hypercorn", "chat_actors.server.asgi:app", "--bind", "127.0.0.1:0"]
    env = {"CHAT_ACTORS_DATA__DIR": str(tmp_path / "data")}
    async with await Process.start(program=hypercorn, env=env) as server:
        url = re.search(r"http://[\d.:]+", await server.read_until("Running on"))[0]
        async with connect(url, Identity("alice", generate_key(2048))) as chat, chat.room("lobby") as room:
            assert type(await room.receive()) is messages.Joined
        server.process.send_signal(signal.SIGTERM)
        assert (await server.finish())[0] == 0


async def test_address_in_use_prints_one_line(tmp_path):
    server, url = await serve(tmp_path)
    async with server:
        second = await Process.start("serve", "--bind", url.removeprefix("http://"), "--dir", tmp_path / "data")
        code, output = await second.finish()
    assert code == 1
    assert output.splitlines()[-1].endswith("Address already in use; choose another with --bind")


async def test_data_folder_that_is_a_file_prints_one_line(tmp_path):
    (tmp_path / "data").write_text("")
    code, output = await (await Process.start("serve", "--dir", tmp_path / "data", "--bind", "127.0.0.1:0")).finish()
    assert code == 1
    assert output.splitlines()[-1].startswith("chat-actors: cannot open the data in")


async def test_check_config_prints_values_and_origins(tmp_path):
    config = tmp_path / "chat.toml"
    config.write_text("[limits]\nconnections = 7\n")
    arguments = ("--config", config, "--bind", "127.0.0.1:9", "--set", "limits.registrations=9")
    code, output = await (await Process.start("check-config", *arguments)).finish()
    assert code == 0
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines()}
    assert rows["limits.connections"] == ["7", str(config)]
    assert rows["server.bind"] == ['"127.0.0.1:9"', "--bind"]
    assert rows["limits.registrations"] == ["9", "--set"]
    assert rows["limits.frame_bytes"] == ["65536", "default"]


@pytest.mark.parametrize("command", ["check-config", "serve", "extensions", "protocol"])
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--set", "foo"), "chat-actors: --set: foo: write SECTION.KEY=VALUE, as in limits.connections=100"),
        (("--set", "foo=1"), "chat-actors: --set: foo=1: write SECTION.KEY=VALUE, as in limits.connections=100"),
        (("--set", "limits.conections=1"), "chat-actors: --set: limits.conections: is not a setting, did you mean"),
        (("--set", "extensions.polls=1"), "chat-actors: --set: extensions.polls: names no setting of an extension"),
    ],
)
def test_bad_assignment_prints_one_line(command, arguments, line):
    done = CliRunner().invoke(main, [command, *arguments])
    assert done.exit_code == 2
    assert done.output.startswith(line)
    assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--extension", "chess"), "chat-actors: the extension 'chess' is not installed"),
        (("--extension", "nosuch:it"), "chat-actors: the extension 'nosuch:it' cannot be imported from nosuch:it: "),
        (("--extension", "polls", "--set", "extensions.polls.room=a"), "chat-actors: the extension 'polls' cannot use"),
        (("--set", "extensions.polls.rooms=a"), "chat-actors: the extension 'polls' has settings but is not"),
    ],
)
def test_check_config_refuses_unusable_extensions(arguments, line):
    done = CliRunner().invoke(main, ["check-config", *arguments])
    assert done.exit_code == 2
    assert done.output.startswith(line)
    assert done.output.count("\n") == 1


def test_check_config_prints_settings_of_extensions(tmp_path, monkeypatch):
    config = tmp_path / "chat.toml"
    config.write_text("[extensions.direct]\nkeep = 7\n")
    monkeypatch.setenv("CHAT_ACTORS_EXTENSIONS__WEBHOOKS__TOKENS", '{"ci-bot": "a secret of sixteen"}')
    flags = [word for name in ("direct", "typing", "webhooks") for word in ("--extension", name)]
    arguments = ["--config", str(config), *flags, "--set", "extensions.typing.seconds=9"]
    done = CliRunner().invoke(main, ["check-config", *arguments])
    assert done.exit_code == 0, done.output
    rows = {line.split()[0]: line.split()[1:] for line in done.output.splitlines()}
    assert rows["extensions.direct.keep"] == ["7", str(config)]
    assert rows["extensions.direct.chars"] == ["4000", "default"]
    assert rows["extensions.typing.seconds"] == ["9.0", "--set"]
    assert rows["extensions.webhooks.tokens"] == ['{"ci-bot":"..."}', "CHAT_ACTORS_EXTENSIONS__WEBHOOKS__TOKENS"]


@pytest.mark.parametrize("command", ["check-config", "serve"])
async def test_invalid_setting_prints_one_line(tmp_path, command):
    process = await Process.start(command, env={"CHAT_ACTORS_DATA__JOURNAL": "paper"})
    code, output = await process.finish()
    assert code == 2
    (line,) = output.splitlines()
    assert line.startswith("chat-actors: CHAT_ACTORS_DATA__JOURNAL: data.journal: must be")


async def test_keygen_writes_private_file_only_once(tmp_path):
    path = tmp_path / "my.pem"
    assert (await (await Process.start("keygen", path)).finish())[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    code, output = await (await Process.start("keygen", path)).finish()
    assert code == 1
    assert "there is a file already" in output
    assert path.read_bytes() == before


async def test_chat_without_server_prints_one_line(tmp_path):
    process = await Process.start(
        "chat", "--as", "alice", "--room", "x", "--url", "ws://127.0.0.1:9", env={"HOME": str(tmp_path)}
    )
    code, output = await process.finish()
    assert code == 1
    assert "is the server up?" in output
    assert len(output.splitlines()) == 1


async def test_chat_with_another_users_name_is_refused(tmp_path):
    server, url = await serve(tmp_path)
    async with server:
        async with connect(url, Identity("alice", generate_key(2048))) as chat, chat.room("lobby"):
            pass
        arguments = ("chat", "--as", "alice", "--room", "x", "--url", url)
        code, output = await (await Process.start(*arguments, env={"HOME": str(tmp_path)})).finish()
    assert code == 1
    assert "the server refused to log in alice: Invalid signature" in output


async def test_refused_message_sets_the_exit_code(tmp_path):
    server, url = await serve(tmp_path)
    arguments = ("chat", "--as", "notifier", "--room", "ops", "--url", url)
    async with server:
        for lines, expected in ((("fine",), 0), (("x" * 5000, "fine"), 1)):
            async with await Process.start(*arguments, env={"HOME": str(tmp_path)}) as notifier:
                for line in lines:
                    await notifier.type(line)
                printed = await notifier.read_until("notifier: fine")
                code, output = await notifier.finish()
            output = printed + output
            assert code == expected
            assert "notifier: fine" in output
            assert ("! not sent: 'xxx" in output) is (expected == 1)


def test_readme_and_ci_run_the_same_command():
    root = Path(__file__).parents[2]
    commands = re.findall(r"```sh\n(.*?)\n```", (root / "README.md").read_text(), re.DOTALL)
    ci = [line for line in (root / ".ci/run").read_text().splitlines() if line.startswith("python3")]
    assert [ci[0]] == [command for command in commands if "pytest" in command]
