"""Lines of a room as styled text. What other people wrote is never markup and has nothing that acts. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date, tzinfo
from typing import assert_never

from rich.text import Text

from chat_actors.cli.harmless import harmless
from chat_actors.cli.local_time import clock, local_time
from chat_actors.cli.terminal.rooms import Away, Connected, Ended, OpenRoom
from chat_actors.cli.terminal.timeline import Line, Missing, Note, NotSaid, Outgoing, Said

_COLOURS = ("cyan", "green", "magenta", "yellow", "bright_blue", "bright_red", "bright_green", "bright_magenta")

_NEXT_LINE = "\n        "
"""So far in that what follows a line break in a message cannot look like a message of its own."""


def draw(line: Line, own_id: str, zone: tzinfo | None = None) -> Text:
    """One line of a room, which may be several on the screen, with times in that zone or the machine's."""
    match line:
        case Said(message=message):
            parts = [
                (f"{clock(message.timestamp, zone)} ", "dim"),
                (f"{harmless(message.user_id)} ", _style_of(message.user_id, own_id)),
                (_shown(message.content), ""),
            ]
            if message.user_id == own_id:
                parts.append((" ✓", "dim"))
            return Text.assemble(*parts)
        case Outgoing(text=text, seq=seq):
            return Text.assemble(("  …   ", "dim"), (_shown(text), "dim"), (" sending" if seq is None else " ✓", "dim"))
        case NotSaid(text=text, why=why):
            return Text.assemble(("  !   ", "bold red"), _shown(text), (f" not sent: {harmless(why)}", "red"))
        case Missing(lost=None):
            return Text("──── you were away, and messages may be missing here ────", "yellow")
        case Missing(lost=lost):
            return Text(f"──── you were away, {lost} messages are missing here ────", "yellow")
        case Note(text=text, is_problem=is_problem):
            return Text(_shown(text), "red" if is_problem else "dim")
        case _:
            assert_never(line)


def day_of(line: Line, zone: tzinfo | None = None) -> date | None:
    """The day on which it was said; None if it is no message."""
    if not isinstance(line, Said):
        return None
    time = local_time(line.message.timestamp, zone)
    return None if time is None else time.date()


def draw_day(day: date) -> Text:
    """What stands above the first message of a day."""
    return Text(f"──── {day:%A}, {day.day} {day:%B %Y} ────", "dim")


def draw_status(room: OpenRoom, user_id: str, unread_elsewhere: int) -> Text:
    """The line on top: where one is, as whom, and whether there is a connection."""
    match room.line:
        case Connected():
            state = ("● connected", "green")
        case Away(seconds=seconds, why=why):
            state = (f"○ reconnecting in {seconds:.0f} s: {harmless(why)}", "yellow")
        case Ended(why=why):
            state = (f"○ {harmless(why)}", "red")
        case _:
            assert_never(room.line)
    text = Text.assemble((f" {harmless(room.room_id)}", "bold"), f" as {user_id}  ", state, no_wrap=True)
    if room.unread:
        text.append(f"  {room.unread} new below", "bold")
    if unread_elsewhere:
        text.append(f"  {unread_elsewhere} unread in other rooms", "bold")
    return text


def draw_room(room: OpenRoom, *, is_current: bool) -> Text:
    """A room in the list of rooms."""
    mark = "" if isinstance(room.line, Connected) else " ○"
    text = Text(harmless(room.room_id) + mark, "bold" if is_current or room.unread else "", no_wrap=True)
    if room.unread:
        text.append(f" {room.unread}", "bold yellow")
    return text


def draw_members(names: Sequence[str], count: int | None) -> Text:
    """Who is in a room."""
    if count is None:
        return Text("")
    text = Text(f"{count} here\n", "bold", no_wrap=True)
    text.append("\n".join(harmless(name) for name in names), "not bold")
    if count > len(names):
        text.append(f"\nand {count - len(names)} more", "not bold dim")
    return text


def _shown(text: str) -> str:
    return _NEXT_LINE.join(harmless(line) for line in text.replace("\r\n", "\n").split("\n"))


def _style_of(user_id: str, own_id: str) -> str:
    if user_id == own_id:
        return "bold"
    return f"bold {_COLOURS[zlib.crc32(harmless(user_id).encode()) % len(_COLOURS)]}"
