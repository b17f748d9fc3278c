"""The terminal chat as a process in a pseudo-terminal, with a terminal emulator that draws its output."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios

import pyte
import pytest

from chat_actors.cli.sanitize import sanitize
from chat_actors.client import Identity, generate_key, save_key
from tests.cli.test_commands import PROGRAM, Process, serve
from tests.patience import PATIENCE
from tests.wire.certificate import write_certificate

pytestmark = pytest.mark.anyio
COLUMNS, ROWS = 100, 24


class Terminal:
    """A command in its own pseudo-terminal. `screen` is the text on it."""

    def __init__(self, arguments, home):
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "HOME": str(home), "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.raw = b""
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def screen(self):
        return "\n".join(self._screen.display)

    @property
    def mode(self):
        """The terminal's attributes, which a program must restore at its end."""
        return termios.tcgetattr(self._slave)

    def type(self, text):
        os.write(self._master, text.encode())

    async def shows(self, *texts):
        await self._until(lambda: all(text in self.screen for text in texts), texts)

    async def ends(self):
        await self._until(lambda: self.process.poll() is not None, "its end")
        return self.process.returncode

    async def _until(self, condition, expected):
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    with contextlib.suppress(BlockingIOError):
                        data = os.read(self._master, 65536)
                        self.raw += data
                        self._stream.feed(data)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"no {expected} on the screen:\n{self.screen}") from None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


def chat(user_id, url, *more):
    return ("chat", "--as", user_id, "--room", "lobby", "--url", url, *more)


async def test_two_terminals_chat_over_a_server_restart(tmp_path):
    server, url = await serve(tmp_path)
    async with server:
        with Terminal(chat("alice", url), tmp_path) as alice, Terminal(chat("bobby", url), tmp_path) as bobby:
            await alice.shows("lobby as alice", "● connected")
            await bobby.shows("lobby as bobby", "2 here")
            alice.type("hello bobby\r")
            await alice.shows("alice hello bobby ✓")
            await bobby.shows("alice hello bobby")
            server.process.send_signal(signal.SIGTERM)
            await server.finish()
            await alice.shows("○ reconnecting in")
            bobby.type("are you there\r")
            await bobby.shows("are you there sending")
            bind = ("--bind", url.removeprefix("http://"))
            async with await Process.start("serve", "--dir", tmp_path / "data", *bind) as again:
                await again.read_until("to stop")
                await alice.shows("● connected", "bobby are you there")
                await bobby.shows("● connected", "bobby are you there ✓")
                alice.type("/quit\r")
                assert await alice.ends() == 0
                await bobby.shows("alice left the room")
                bobby.type("\x03")
                assert await bobby.ends() == 0
                assert (alice.mode, bobby.mode) == (alice.before, bobby.before)


async def test_hostile_message_cannot_control_the_terminal(tmp_path):
    server, url = await serve(tmp_path)
    evil = "\x1b]0;owned\x07\x1b[2J\x1b[31m [red]x[/] \u202ereversed\x9b5n"
    async with server:
        with Terminal(chat("alice", url), tmp_path) as alice:
            await alice.shows("● connected")
            async with await Process.start(*chat("mallory", url, "--plain"), env={"HOME": str(tmp_path)}) as mallory:
                await mallory.read_until("you are in lobby")
                await mallory.type(evil)
                await alice.shows(sanitize(evil))
                assert (await mallory.finish())[0] == 0
            for dangerous in (b"\x1b]0;owned", "\u202e".encode(), "\x9b".encode()):
                assert dangerous not in alice.raw
            alice.type("\x04")
            assert await alice.ends() == 0


async def test_plain_and_failed_start_use_no_escapes(tmp_path):
    server, url = await serve(tmp_path)
    async with server:
        with Terminal(chat("alice", url, "--plain"), tmp_path) as alice:
            await alice.shows("* you are in lobby; type and press Enter, Ctrl+D leaves")
            assert b"\x1b" not in alice.raw
            alice.type("\x04")
            assert await alice.ends() == 0
    with Terminal(chat("alice", "ws://127.0.0.1:9"), tmp_path) as alice:
        await alice.shows("cannot connect")
        assert await alice.ends() == 1
        assert b"\x1b" not in alice.raw


async def test_passphrase_prompt_does_not_echo(tmp_path):
    save_key(generate_key(2048), tmp_path / "alice.pem", "open sesame")
    server, url = await serve(tmp_path)
    async with server:
        with Terminal(chat("alice", url, "--key", tmp_path / "alice.pem"), tmp_path) as alice:
            await alice.shows("alice.pem")
            alice.type("open sesame\r")
            await alice.shows("● connected")
            assert b"sesame" not in alice.raw
        with Terminal(chat("alice", url, "--key", tmp_path / "alice.pem"), tmp_path) as alice:
            await alice.shows("alice.pem")
            alice.type("wrong\r")
            await alice.shows("or that is not its passphrase")
            assert await alice.ends() == 1
        process = await Process.start(*chat("alice", url, "--key", tmp_path / "alice.pem"))
        code, output = await process.finish()
        assert code == 1
        assert output.endswith("alice.pem: is encrypted; give its passphrase\n")


async def test_ca_option_trusts_a_private_authority(tmp_path):
    certfile, keyfile = write_certificate(tmp_path)
    server, url = await serve(tmp_path, "--certfile", certfile, "--keyfile", keyfile)
    url = url.replace("127.0.0.1", "localhost")
    env = {"HOME": str(tmp_path)}
    async with server:
        async with await Process.start(*chat("alice", url, "--ca", certfile), env=env) as alice:
            await alice.read_until("you are in lobby")
            assert (await alice.finish())[0] == 0
        code, output = await (await Process.start(*chat("alice", url), env=env)).finish()
        assert (code, "certificate" in output) == (1, True)
        for ca, problem in ((keyfile, "no certificate can be read from it"), (tmp_path / "none", "No such file")):
            code, output = await (await Process.start(*chat("alice", url, "--ca", ca), env=env)).finish()
            assert (code, problem in output) == (2, True)
    code, output = await (await Process.start(*chat("alice", "ws://127.0.0.1:9", "--ca", certfile), env=env)).finish()
    assert (code, "https:// alone" in output) == (2, True)


async def test_keygen_encrypts_with_a_passphrase(tmp_path):
    with Terminal(("keygen", "--encrypt", tmp_path / "my.pem"), tmp_path) as keygen:
        await keygen.shows("Passphrase:")
        keygen.type("open sesame\r")
        await keygen.shows("Repeat for confirmation:")
        keygen.type("open sesame\r")
        assert await keygen.ends() == 0
    assert Identity.load("alice", tmp_path / "my.pem", passphrase="open sesame")


def test_only_the_chat_command_imports_textual():
    for module in ("chat_actors.cli.main", "chat_actors.client.sync", "chat_actors.server.asgi"):
        code = f"import sys, {module}; print([m for m in sys.modules if m.startswith(('textual', 'rich'))])"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        assert done.stdout == "[]\n"
