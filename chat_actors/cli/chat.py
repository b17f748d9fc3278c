"""The chat line by line, for pipes and plain terminals."""

from __future__ import annotations

import asyncio
import os
import sys

import anyio.to_thread
import click

from chat_actors.cli.harmless import harmless
from chat_actors.client import Chat, ClientEvent, Gap, NotSent, Reconnected, Reconnecting, Room
from chat_actors.protocol import messages

FAILED = 1

LAST_MESSAGES = 20
"""Messages that are shown on entering."""


async def chat_in_lines(chat: Chat, room_id: str) -> None:
    """Enter the room, print what was said last and what is said, and send what is typed, until the input ends.

    Raises `ConnectionLost`, `Refused`, `NotSent`, `PutOut`; and `SystemExit` if the server has refused a line.
    """
    async with chat.room(room_id) as room:
        shown = await _print_the_last(room)
        printing = asyncio.create_task(_print_all(room, shown))
        typing = asyncio.create_task(_send_lines(room))
        done, pending = await asyncio.wait({printing, typing}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()
    if typing in done and typing.result():
        sys.exit(FAILED)


async def _print_the_last(room: Room) -> int:
    """What was said before one came in; the number of the last message of it."""
    try:
        page = await room.history(limit=LAST_MESSAGES)
    except NotSent:
        return 0  # a server that keeps no messages
    for message in page.messages:
        click.echo(render(message))
    return page.last or 0


async def _print_all(room: Room, shown: int) -> None:
    async for event in room.events():
        if isinstance(event, messages.ChatMessage) and event.seq <= shown:
            continue  # it came between the entering and the look at what was said last
        if isinstance(event, messages.ChatMessage | Gap | Reconnected):
            shown = 0  # all that comes now is new, also where the numbers have begun anew
        if (line := render(event)) is not None:
            click.echo(line)


async def _send_lines(room: Room) -> int:
    """Send all that is typed; how many lines the server has refused."""
    # os.read in a thread: it works for a terminal, a pipe and a file alike, and unlike sys.stdin leaves no lock held
    # if the program ends while it waits.
    refused = 0
    rest = b""
    while data := await anyio.to_thread.run_sync(os.read, sys.stdin.fileno(), 65536, abandon_on_cancel=True):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            refused += not await _send_line(room, line)
    return refused + (not await _send_line(room, rest))


async def _send_line(room: Room, line: bytes) -> bool:
    if text := line.decode(errors="replace").strip():
        try:
            await room.say(text)  # returns once it is stored, so what was typed is not lost by leaving
        except NotSent as error:
            click.echo(f"! not sent: {text[:40]!r}: {error.text}", err=True)
            return False
    return True


def render(event: ClientEvent) -> str | None:
    """One line for what has happened, or None if there is nothing to show. Nothing in it can act on the terminal."""
    match event:
        case messages.ChatMessage():
            line = f"[{event.timestamp[11:16]}] {event.user_id}: {event.content}"
        case messages.Joined():
            line = f"* you are in {event.room_id}; type and press Enter, Ctrl+D leaves"
        case messages.UserJoined() | messages.UserLeft():
            line = f"* {event.message}"
        case messages.Error():
            line = f"! {event.message}"
        case Reconnecting():
            line = f"* {event.why}; trying again in {event.seconds:.0f} s"
        case Reconnected():
            line = "* connected again"
        case Gap(lost=None):
            line = "* messages may be missing here: the server no longer knows what was said meanwhile"
        case Gap():
            line = f"* {event.lost} messages are missing here: the server does not keep them any more"
        case _:
            return None
    return harmless(line)
