"""The commands that a user types into the terminal chat. No I/O."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.protocol import is_room_id

HISTORY_PAGE = 100
"""Messages that `/history` loads by default."""

MAX_HISTORY = 200
"""Most messages that a server returns at once."""

HELP = """\
/join ROOM     join a room, in addition to those that you are in
/switch ROOM   show another room that you are in; also Ctrl+N and Ctrl+P
/leave         leave this room
/who           list the members of this room
/history [N]   load N earlier messages; also Page Up at the top
/help          show this list
/quit          quit once everything is sent; also Ctrl+C and Ctrl+D; twice: at once
//text         post a message that begins with a slash"""


class Say(msgspec.Struct, frozen=True):
    text: str


class Join(msgspec.Struct, frozen=True):
    room_id: str


class Switch(msgspec.Struct, frozen=True):
    room_id: str


class Leave(msgspec.Struct, frozen=True):
    pass


class ListMembers(msgspec.Struct, frozen=True):
    pass


class LoadHistory(msgspec.Struct, frozen=True):
    count: int = HISTORY_PAGE


class Help(msgspec.Struct, frozen=True):
    pass


class Quit(msgspec.Struct, frozen=True):
    pass


class InvalidInput(msgspec.Struct, frozen=True):
    """The input is not a command; `problem` says what to type instead."""

    problem: str


InputCommand: TypeAlias = Say | Join | Switch | Leave | ListMembers | LoadHistory | Help | Quit | InvalidInput


def parse(line: str) -> InputCommand | None:
    """Parse a line of input. Returns None if it is empty."""
    line = line.strip()
    if not line:
        return None
    if not line.startswith("/") or line.startswith("//"):
        return Say(line.removeprefix("/") if line.startswith("//") else line)
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    match word:
        case "/join" | "/switch":
            if not is_room_id(rest):
                return InvalidInput(f"{word} needs the name of a room, of 1 to 128 characters")
            return Join(rest) if word == "/join" else Switch(rest)
        case "/history":
            return _parse_history(rest)
        case "/leave" | "/who" | "/help" | "/quit" if rest:
            return InvalidInput(f"{word} takes nothing after it")
        case "/leave":
            return Leave()
        case "/who":
            return ListMembers()
        case "/help":
            return Help()
        case "/quit":
            return Quit()
        case _:
            return InvalidInput(
                f"there is no {word}; /help lists what there is, //text posts text that begins with a slash"
            )


def _parse_history(rest: str) -> LoadHistory | InvalidInput:
    if not rest:
        return LoadHistory()
    if rest.isascii() and rest.isdigit() and 1 <= int(rest[:9]) <= MAX_HISTORY:
        return LoadHistory(int(rest))
    return InvalidInput(f"/history takes a number from 1 to {MAX_HISTORY}")
