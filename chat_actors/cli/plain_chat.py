"""The chat line by line, for pipes and simple terminals."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
from collections import deque
from datetime import tzinfo

import click

from chat_actors.cli.local_time import clock
from chat_actors.cli.sanitize import sanitize
from chat_actors.client import Chat, ClientEvent, CommandRefused, Gap, Reconnected, Reconnecting, Room
from chat_actors.protocol import messages

FAILED = 1

HISTORY_MESSAGES = 20
"""Messages that are printed on joining."""


async def run_plain_chat(chat: Chat, room_id: str) -> None:
    """Join the room, print its messages, and send each line of the standard input until it ends.

    Raises `ConnectionLost`, `AccessRefused`, `CommandRefused`, `RemovedFromRoom`; and `SystemExit` if a line was
    refused, or was not stored at the end.
    """
    async with chat.room(room_id) as room:
        last_printed = await _print_history(room)
        lines = InputLines(room)
        printing = asyncio.create_task(_print_events(room, last_printed))
        sending = asyncio.create_task(lines.send_all())
        try:
            await asyncio.wait({printing, sending}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # Ctrl+C
            await _stop(printing, sending)
            if lines.report_unsent():
                sys.exit(FAILED)
            raise
        await _stop(printing, sending)
        has_unsent = lines.report_unsent()
        for task in (printing, sending):
            if not task.cancelled():
                task.result()
    if has_unsent:
        sys.exit(FAILED)


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _print_history(room: Room) -> int:
    """Print the last messages before the join. Returns the number of the last one; 0 if there is none."""
    try:
        page = await room.history(limit=HISTORY_MESSAGES)
    except CommandRefused:
        return 0  # the server stores no messages
    for message in page.messages:
        click.echo(render(message))
    return page.last or 0


async def _print_events(room: Room, last_printed: int) -> None:
    async for event in room.events():
        if isinstance(event, messages.ChatMessage) and event.seq <= last_printed:
            continue  # posted between the join and the request for the history, so printed already
        if isinstance(event, messages.ChatMessage | Gap | Reconnected):
            last_printed = 0  # everything from here on is new, even if the server restarted the room's numbering
        if (line := render(event)) is not None:
            click.echo(line)


class InputLines:
    """Sends the standard input line by line. Keeps each line until it is stored or refused."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._unsent: deque[str] = deque()
        self._has_refused = False

    async def send_all(self) -> None:
        rest = b""
        while data := await _read_stdin():
            *lines, rest = (rest + data).split(b"\n")
            await self._send(*lines)
        await self._send(rest)

    async def _send(self, *lines: bytes) -> None:
        self._unsent.extend(text for line in lines if (text := line.decode(errors="replace").strip()))
        while self._unsent:
            try:
                await self._room.say(self._unsent[0])  # returns once it is stored
            except CommandRefused as error:
                self._has_refused = True
                click.echo(f"! not sent: {_excerpt(self._unsent[0])}: {error.text}", err=True)
            self._unsent.popleft()

    def report_unsent(self) -> bool:
        """Print the lines that were not sent. Returns whether any line was not stored."""
        if self._unsent:
            more = f" and {len(self._unsent) - 1} more" if len(self._unsent) > 1 else ""
            unsent = f"{_excerpt(self._unsent[0])}{more}"
            click.echo(f"! not sent: {unsent}: the chat ended before the server had confirmed it", err=True)
        return bool(self._unsent) or self._has_refused


def _excerpt(line: str) -> str:
    return repr(line[:40])


async def _read_stdin() -> bytes:
    """Read some bytes of the standard input; none at its end."""
    # os.read works for terminals, pipes and files alike. A pool's thread would block the end of the program until a key
    # is pressed; a daemon thread does not.
    stdin = sys.stdin.fileno()
    data: concurrent.futures.Future[bytes] = concurrent.futures.Future()
    data.set_running_or_notify_cancel()

    def read() -> None:
        try:
            data.set_result(os.read(stdin, 65536))
        except OSError as error:
            data.set_exception(error)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return await asyncio.wrap_future(data)


def render(event: ClientEvent, zone: tzinfo | None = None) -> str | None:
    """Format an event as one line that is safe for a terminal. Returns None if there is nothing to show."""
    match event:
        case messages.ChatMessage():
            line = f"[{clock(event.timestamp, zone)}] {event.user_id}: {event.content}"
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
            line = "* messages may be missing here: the server has lost its earlier messages"
        case Gap():
            line = f"* {event.lost} messages are missing here: the server no longer stores them"
        case _:
            return None
    return sanitize(line)
