"""The chat line by line, for pipes and plain terminals."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
from collections import deque
from datetime import tzinfo

import click

from chat_actors.cli.harmless import harmless
from chat_actors.cli.local_time import clock
from chat_actors.client import Chat, ClientEvent, Gap, NotSent, Reconnected, Reconnecting, Room
from chat_actors.protocol import messages

FAILED = 1

LAST_MESSAGES = 20
"""Messages that are shown on entering."""


async def chat_in_lines(chat: Chat, room_id: str) -> None:
    """Enter the room, print what was said last and what is said, and send what is typed, until the input ends.

    Raises `ConnectionLost`, `Refused`, `NotSent`, `PutOut`; and `SystemExit` if a line was refused, or if one leaves
    before all of them are stored.
    """
    async with chat.room(room_id) as room:
        shown = await _print_the_last(room)
        lines = TypedLines(room)
        printing = asyncio.create_task(_print_all(room, shown))
        typing = asyncio.create_task(lines.send_all())
        try:
            await asyncio.wait({printing, typing}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # Ctrl+C
            await _stop(printing, typing)
            if lines.tell_unsent():
                sys.exit(FAILED)
            raise
        await _stop(printing, typing)
        is_lost = lines.tell_unsent()
        for task in (printing, typing):
            if not task.cancelled():
                task.result()
    if is_lost:
        sys.exit(FAILED)


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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


class TypedLines:
    """What is typed, sent line by line; each is kept until it is stored or refused."""

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
            except NotSent as error:
                self._has_refused = True
                click.echo(f"! not sent: {_beginning(self._unsent[0])}: {error.text}", err=True)
            self._unsent.popleft()

    def tell_unsent(self) -> bool:
        """Say what is given up. Whether anything that was typed has not been stored."""
        if self._unsent:
            more = f" and {len(self._unsent) - 1} more" if len(self._unsent) > 1 else ""
            what = f"{_beginning(self._unsent[0])}{more}"
            click.echo(f"! not sent: {what}: the chat ended before the server had confirmed it", err=True)
        return bool(self._unsent) or self._has_refused


def _beginning(line: str) -> str:
    return repr(line[:40])


async def _read_stdin() -> bytes:
    """Some bytes of the standard input, none at its end."""
    # os.read works for a terminal, a pipe and a file alike. The thread is a daemon, unlike those of a pool: at the end
    # of the program nobody waits for it, and so for a key that is never pressed.
    stdin = sys.stdin.fileno()
    answer: concurrent.futures.Future[bytes] = concurrent.futures.Future()
    answer.set_running_or_notify_cancel()

    def read() -> None:
        try:
            answer.set_result(os.read(stdin, 65536))
        except OSError as error:
            answer.set_exception(error)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return await asyncio.wrap_future(answer)


def render(event: ClientEvent, zone: tzinfo | None = None) -> str | None:
    """One line for what has happened, or None if there is nothing to show. Nothing in it can act on the terminal."""
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
            line = "* messages may be missing here: the server no longer knows what was said meanwhile"
        case Gap():
            line = f"* {event.lost} messages are missing here: the server does not keep them any more"
        case _:
            return None
    return harmless(line)
