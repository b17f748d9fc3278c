"""Lines of a room as styled text. Text of other users is sanitized and never parsed as markup. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date, tzinfo
from typing import assert_never

from rich.text import Text

from chat_actors.cli.local_time import clock, local_time
from chat_actors.cli.sanitize import sanitize
from chat_actors.cli.terminal.rooms import Closed, Connected, Disconnected, OpenRoom
from chat_actors.cli.terminal.timeline import FailedLine, GapLine, Line, MessageLine, NoticeLine, PendingLine

_COLORS = ("cyan", "green", "magenta", "yellow", "bright_blue", "bright_red", "bright_green", "bright_magenta")

_NEXT_LINE = "\n        "
"""Indents the lines of a message after the first, so that they cannot look like other messages."""


def draw(line: Line, own_id: str, zone: tzinfo | None = None) -> Text:
    """Draw a line of a room, with times in `zone`, by default the machine's. Long lines wrap later."""
    match line:
        case MessageLine(message=message):
            parts = [
                (f"{clock(message.timestamp, zone)} ", "dim"),
                (f"{sanitize(message.user_id)} ", _style_of(message.user_id, own_id)),
                (_text(message.content), ""),
            ]
            if message.user_id == own_id:
                parts.append((" ✓", "dim"))
            return Text.assemble(*parts)
        case PendingLine(text=text, seq=seq):
            return Text.assemble(("  …   ", "dim"), (_text(text), "dim"), (" sending" if seq is None else " ✓", "dim"))
        case FailedLine(text=text, why=why):
            return Text.assemble(("  !   ", "bold red"), _text(text), (f" not sent: {sanitize(why)}", "red"))
        case GapLine(lost=None):
            return Text("──── you were away, and messages may be missing here ────", "yellow")
        case GapLine(lost=lost):
            return Text(f"──── you were away, {lost} messages are missing here ────", "yellow")
        case NoticeLine(text=text, is_problem=is_problem):
            return Text(_text(text), "red" if is_problem else "dim")
        case _:
            assert_never(line)


def day_of(line: Line, zone: tzinfo | None = None) -> date | None:
    """The local day of a message; None for other lines."""
    if not isinstance(line, MessageLine):
        return None
    time = local_time(line.message.timestamp, zone)
    return None if time is None else time.date()


def draw_day(day: date) -> Text:
    """The heading above the first message of a day."""
    return Text(f"──── {day:%A}, {day.day} {day:%B %Y} ────", "dim")


def draw_status(room: OpenRoom, user_id: str, unread_elsewhere: int) -> Text:
    """The status line: the room, the user, the connection, and unread messages."""
    match room.connection:
        case Connected():
            state = ("● connected", "green")
        case Disconnected(seconds=seconds, why=why):
            state = (f"○ reconnecting in {seconds:.0f} s: {sanitize(why)}", "yellow")
        case Closed(why=why):
            state = (f"○ {sanitize(why)}", "red")
        case _:
            assert_never(room.connection)
    text = Text.assemble((f" {sanitize(room.room_id)}", "bold"), f" as {user_id}  ", state, no_wrap=True)
    if room.unread:
        text.append(f"  {room.unread} new below", "bold")
    if unread_elsewhere:
        text.append(f"  {unread_elsewhere} unread in other rooms", "bold")
    return text


def draw_room(room: OpenRoom, *, is_current: bool) -> Text:
    """An entry of the list of rooms."""
    mark = "" if isinstance(room.connection, Connected) else " ○"
    text = Text(sanitize(room.room_id) + mark, "bold" if is_current or room.unread else "", no_wrap=True)
    if room.unread:
        text.append(f" {room.unread}", "bold yellow")
    return text


def draw_members(names: Sequence[str], count: int | None) -> Text:
    """The list of members."""
    if count is None:
        return Text("")
    text = Text(f"{count} here\n", "bold", no_wrap=True)
    text.append("\n".join(sanitize(name) for name in names), "not bold")
    if count > len(names):
        text.append(f"\nand {count - len(names)} more", "not bold dim")
    return text


def _text(text: str) -> str:
    return _NEXT_LINE.join(sanitize(line) for line in text.replace("\r\n", "\n").split("\n"))


def _style_of(user_id: str, own_id: str) -> str:
    if user_id == own_id:
        return "bold"
    return f"bold {_COLORS[zlib.crc32(sanitize(user_id).encode()) % len(_COLORS)]}"
