"""What a line that was typed asks for. Pure."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.protocol import is_room_id

PAGE = 100
"""Messages that `/history` loads if it does not say how many."""

MOST = 200
"""The most that a server gives at once."""

HELP = """\
/join ROOM     go into a room, beside those that you are in
/switch ROOM   look at another room that you are in; so do Ctrl+N and Ctrl+P
/leave         leave this room
/who           who is in this room
/history [N]   load N earlier messages; so does Page Up at the top
/help          this
/quit          leave, once all is sent; so do Ctrl+C and Ctrl+D; twice: at once
//text         say something that begins with a slash"""


class Say(msgspec.Struct, frozen=True):
    text: str


class Join(msgspec.Struct, frozen=True):
    room_id: str


class Switch(msgspec.Struct, frozen=True):
    room_id: str


class Leave(msgspec.Struct, frozen=True):
    pass


class Who(msgspec.Struct, frozen=True):
    pass


class LoadHistory(msgspec.Struct, frozen=True):
    count: int = PAGE


class Help(msgspec.Struct, frozen=True):
    pass


class Quit(msgspec.Struct, frozen=True):
    pass


class Wrong(msgspec.Struct, frozen=True):
    """It asks for nothing that there is; what to do about it."""

    problem: str


Wish: TypeAlias = Say | Join | Switch | Leave | Who | LoadHistory | Help | Quit | Wrong


def parse(line: str) -> Wish | None:
    """What is asked for; None for an empty line."""
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
                return Wrong(f"{word} needs the name of a room, of 1 to 128 characters")
            return Join(rest) if word == "/join" else Switch(rest)
        case "/history":
            return _history(rest)
        case "/leave" | "/who" | "/help" | "/quit" if rest:
            return Wrong(f"{word} takes nothing after it")
        case "/leave":
            return Leave()
        case "/who":
            return Who()
        case "/help":
            return Help()
        case "/quit":
            return Quit()
        case _:
            return Wrong(f"there is no {word}; /help lists what there is, //text says what begins with a slash")


def _history(rest: str) -> LoadHistory | Wrong:
    if not rest:
        return LoadHistory()
    if rest.isascii() and rest.isdigit() and 1 <= int(rest[:9]) <= MOST:
        return LoadHistory(int(rest))
    return Wrong(f"/history takes a number from 1 to {MOST}")
