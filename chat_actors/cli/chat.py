"""The line-by-line terminal chat."""

from __future__ import annotations

import asyncio
import os
import re
import sys

import anyio.to_thread
import click
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client import ChatClient, connect
from chat_actors.protocol import ServerMessage, messages

# What a terminal would obey instead of show: a message must not move the cursor or retitle the window.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


async def chat_in_lines(url: str, user_id: str, key: RSAPrivateKey, room_id: str) -> None:
    """Log in, enter the room, print what is said and send what is typed, until the input ends.

    Raises `ConnectionLost`, `Refused`.
    """
    async with connect(url, user_id, key) as client:
        await client.join(room_id)
        printing = asyncio.create_task(_print_all(client))
        typing = asyncio.create_task(_send_lines(client))
        done, pending = await asyncio.wait({printing, typing}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()


async def _print_all(client: ChatClient) -> None:
    async for message in client:
        if (line := render(message)) is not None:
            click.echo(line)


async def _send_lines(client: ChatClient) -> None:
    # os.read in a thread: it works for a terminal, a pipe and a file alike, and unlike sys.stdin leaves no lock held
    # if the program ends while it waits.
    rest = b""
    while data := await anyio.to_thread.run_sync(os.read, sys.stdin.fileno(), 65536, abandon_on_cancel=True):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            await _send_line(client, line)
    await _send_line(client, rest)


async def _send_line(client: ChatClient, line: bytes) -> None:
    if text := line.decode(errors="replace").strip():
        await client.say(text)


def render(message: ServerMessage) -> str | None:
    """One line for a message, or None if there is nothing to show. Nothing in it can act on the terminal."""
    match message:
        case messages.ChatMessage():
            line = f"[{message.timestamp[11:16]}] {message.user_id}: {message.content}"
        case messages.Joined():
            line = f"* you are in {message.room_id}; type and press Enter, Ctrl+D leaves"
        case messages.UserJoined() | messages.UserLeft():
            line = f"* {message.message}"
        case messages.Error():
            line = f"! {message.message}"
        case _:
            return None
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", line)
