"""The plain chat: sending the input, and reporting the lines that were not stored."""

import asyncio
import os

import pytest

from chat_actors.cli.plain_chat import InputLines, run_plain_chat
from chat_actors.client import CommandRefused
from chat_actors.protocol import messages

pytestmark = pytest.mark.anyio


@pytest.fixture
def stdin_writer(monkeypatch):
    """The other end of the standard input."""
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "wb", buffering=0) as writer:
        monkeypatch.setattr("sys.stdin", stdin)
        yield writer


class Chat:
    def __init__(self, room):
        self.room = lambda room_id: room


class Room:
    """Stores messages, but refuses rude ones and never answers questions."""

    def __init__(self):
        self.stored = []
        self.was_asked = asyncio.Event()
        self.has_stored = asyncio.Event()

    async def say(self, text):
        if text == "rude":
            raise CommandRefused(messages.Error("no such words here", "not_allowed"))
        if text.endswith("?"):
            self.was_asked.set()
            await asyncio.Event().wait()
        self.stored.append(text)
        self.has_stored.set()

    async def history(self, *, limit):
        raise CommandRefused(messages.Error("nothing is kept", "no_history"))

    async def events(self):
        await asyncio.Event().wait()
        yield

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        pass


async def test_unsent_lines_are_reported(stdin_writer, capsys):
    room = Room()
    lines = InputLines(room)
    sending = asyncio.create_task(lines.send_all())
    stdin_writer.write(b"first\nsecond?\nthird\nfourth\nunfinished")
    await room.was_asked.wait()
    sending.cancel()
    assert lines.report_unsent()
    assert room.stored == ["first"]
    assert (
        capsys.readouterr().err
        == "! not sent: 'second?' and 2 more: the chat ended before the server had confirmed it\n"
    )


async def test_refused_line_does_not_stop_the_next(stdin_writer, capsys):
    room = Room()
    lines = InputLines(room)
    stdin_writer.write(b"rude\n  polite  \n\n   \nlast")
    stdin_writer.close()
    await lines.send_all()
    assert room.stored == ["polite", "last"]
    assert lines.report_unsent()
    assert capsys.readouterr().err == "! not sent: 'rude': no such words here\n"


async def test_stored_lines_are_not_reported(stdin_writer, capsys):
    lines = InputLines(Room())
    stdin_writer.write(b"one\n")
    stdin_writer.close()
    await lines.send_all()
    assert not lines.report_unsent()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("line", "code"), [("a question?", 1), ("", None)])
async def test_ctrl_c_exits_1_with_unsent_lines(stdin_writer, line, code):
    room = Room()

    async def run():
        with pytest.raises(asyncio.CancelledError if code is None else SystemExit) as ended:
            await run_plain_chat(Chat(room), "lobby")
        return getattr(ended.value, "code", None)

    chat = asyncio.create_task(run())
    stdin_writer.write(f"first\n{line}\n".encode())
    await (room.was_asked if line else room.has_stored).wait()
    chat.cancel()
    assert await chat == code
