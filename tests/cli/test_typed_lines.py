"""What is typed into the chat line by line, and is left before the server has it."""

import asyncio
import os

import pytest

from chat_actors.cli.chat import TypedLines, chat_in_lines
from chat_actors.client import NotSent
from chat_actors.protocol import messages

pytestmark = pytest.mark.anyio


@pytest.fixture
def typed(monkeypatch):
    """The standard input's other end."""
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "wb", buffering=0) as typing:
        monkeypatch.setattr("sys.stdin", stdin)
        yield typing


class Chat:
    def __init__(self, room):
        self.room = lambda room_id: room


class Room:
    """Stores what is said, refuses what is rude, and has no answer for a question."""

    def __init__(self):
        self.stored = []
        self.was_asked = asyncio.Event()
        self.has_stored = asyncio.Event()

    async def say(self, text):
        if text == "rude":
            raise NotSent(messages.Error("no such words here", "not_allowed"))
        if text.endswith("?"):
            self.was_asked.set()
            await asyncio.Event().wait()
        self.stored.append(text)
        self.has_stored.set()

    async def history(self, *, limit):
        raise NotSent(messages.Error("nothing is kept", "no_history"))

    async def events(self):
        await asyncio.Event().wait()
        yield

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        pass


async def test_unsent_lines_are_reported(typed, capsys):
    room = Room()
    lines = TypedLines(room)
    sending = asyncio.create_task(lines.send_all())
    typed.write(b"first\nsecond?\nthird\nfourth\nunfinished")
    await room.was_asked.wait()
    sending.cancel()
    assert lines.tell_unsent()
    assert room.stored == ["first"]
    assert (
        capsys.readouterr().err
        == "! not sent: 'second?' and 2 more: the chat ended before the server had confirmed it\n"
    )


async def test_refused_line_does_not_stop_the_next(typed, capsys):
    room = Room()
    lines = TypedLines(room)
    typed.write(b"rude\n  polite  \n\n   \nlast")
    typed.close()
    await lines.send_all()
    assert room.stored == ["polite", "last"]
    assert lines.tell_unsent()
    assert capsys.readouterr().err == "! not sent: 'rude': no such words here\n"


async def test_stored_lines_are_not_reported(typed, capsys):
    lines = TypedLines(Room())
    typed.write(b"one\n")
    typed.close()
    await lines.send_all()
    assert not lines.tell_unsent()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("line", "code"), [("a question?", 1), ("", None)])
async def test_ctrl_c_exits_1_with_unsent_lines(typed, line, code):
    room = Room()

    async def talk():
        with pytest.raises(asyncio.CancelledError if code is None else SystemExit) as ended:
            await chat_in_lines(Chat(room), "lobby")
        return getattr(ended.value, "code", None)

    talking = asyncio.create_task(talk())
    typed.write(f"first\n{line}\n".encode())
    await (room.was_asked if line else room.has_stored).wait()
    talking.cancel()
    assert await talking == code
