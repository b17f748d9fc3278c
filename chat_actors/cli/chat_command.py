"""`chat-actors chat`: its flags, and the choice between the full screen and plain lines."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from chat_actors.cli.plain_chat import run_plain_chat
from chat_actors.client import AccessRefused, Chat, ClientError, Identity, PassphraseNeeded, connect
from chat_actors.protocol import is_room_id, is_user_id, refusals

FAILED = 1


@click.command()
@click.option("--as", "user_id", required=True, metavar="NAME", help="Your user id; registered on first use.")
@click.option("--room", "room_id", required=True, metavar="ROOM", help="The room to join.")
@click.option("--url", default="ws://127.0.0.1:8080/ws", show_default=True)
@click.option(
    "--key", type=click.Path(path_type=Path), help="Your private key.  [default: ~/.chat-actors/keys/NAME.pem]"
)
@click.option("--ca", type=click.Path(path_type=Path), help="Certificates (PEM) to trust instead of the system's.")
@click.option("--plain", is_flag=True, help="Line by line, which is the default without a terminal.")
def chat(user_id: str, room_id: str, url: str, key: Path | None, ca: Path | None, plain: bool) -> None:
    """Chat on the full screen of a terminal, where /help lists the commands.

    With --plain, every line is posted: there are no commands, empty lines are not sent, and Ctrl+D leaves.
    """
    if not is_user_id(user_id):
        raise click.BadParameter("must be 3 to 32 letters, digits, _ or -", param_hint="--as")
    if not is_room_id(room_id):
        raise click.BadParameter("must be 1 to 128 characters, none of them a control character", param_hint="--room")
    tls = None if ca is None else _tls_context(ca, url)
    try:
        asyncio.run(_chat(url, _identity(user_id, key), tls, room_id, _choose_interface(plain=plain)))
    except ClientError as error:
        click.echo(f"chat-actors: {error}", err=True)
        if isinstance(error, AccessRefused) and error.code == refusals.INVALID_SIGNATURE.code:
            click.echo(f"  {user_id} belongs to another key: choose another name, or name the key with --key", err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        pass


async def _chat(
    url: str,
    identity: Identity,
    tls: ssl.SSLContext | None,
    room_id: str,
    run: Callable[[Chat, str], Awaitable[None]],
) -> None:
    async with connect(url, identity, tls=tls) as chat:
        await run(chat, room_id)


def _choose_interface(*, plain: bool) -> Callable[[Chat, str], Awaitable[None]]:
    if plain or not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        return run_plain_chat
    # Imported here, because loading Textual is slow and no other command needs it.
    from chat_actors.cli.terminal import run_terminal_chat

    return run_terminal_chat


def _identity(user_id: str, key: Path | None) -> Identity:
    try:
        return Identity.load_or_create(user_id, key)
    except PassphraseNeeded as error:
        if not sys.stdin.isatty():
            raise
        passphrase = click.prompt(f"Passphrase of {error.path}", hide_input=True, err=True)
        return Identity.load(user_id, key, passphrase=passphrase)


def _tls_context(ca: Path, url: str) -> ssl.SSLContext:
    if not url.startswith(("https:", "wss:")):
        raise click.BadParameter("is of use for an address with https:// alone", param_hint="--ca")
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise click.BadParameter(
            f"{ca}: no certificate can be read from it: {error.strerror}", param_hint="--ca"
        ) from None
