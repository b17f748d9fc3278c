"""`chat-actors`: the commands and their flags."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from chat_actors import __version__
from chat_actors.cli.chat import chat_in_lines
from chat_actors.cli.data import backup, export_room, import_room, users
from chat_actors.cli.extensions import extensions
from chat_actors.cli.flags import load_from_flags, settings_flags
from chat_actors.cli.protocol import protocol
from chat_actors.client import (
    ConnectionLost,
    Identity,
    KeyFileError,
    NotSent,
    PutOut,
    Refused,
    generate_key,
    save_key,
)
from chat_actors.protocol import is_room_id, is_user_id, refusals
from chat_actors.server.extension_loading import ExtensionError
from chat_actors.server.serve import CannotListen, serve
from chat_actors.server.settings_sources import describe
from chat_actors.server.transport import UntestedVersion
from chat_actors.storage import StorageError

FAILED = 1
PROGRAM = "chat-actors"


@click.group()
@click.version_option(__version__, prog_name="chat-actors")
def main() -> None:
    """A chat server whose users are key pairs, and a first client for it."""


def _program(started_as: str) -> str:
    """What to type to run this program again: the path it was started by, unless its name alone finds it."""
    name = Path(started_as).name
    if name != PROGRAM or shutil.which(PROGRAM) == started_as:
        return PROGRAM
    return started_as


@main.command("serve")
@settings_flags
def serve_command(config: Path | None, assignments: tuple[str, ...], **flags: Any) -> None:
    """Run the server until Ctrl+C."""
    settings = load_from_flags(config, assignments, flags).settings
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("hypercorn").setLevel(logging.WARNING)

    def announce(url: str) -> None:
        folder = Path(settings.data.dir).absolute()
        program = _program(sys.argv[0])
        click.echo(f"chat-actors {__version__} is listening on {url}\n  everything is kept in {folder}")
        if url.startswith("http"):  # neither a browser nor the client has a way to a Unix socket
            here = url.replace("://0.0.0.0:", "://localhost:").replace("://[::]:", "://localhost:")
            click.echo(f"  to talk, in a browser:  {here}")
            click.echo(f"  or in another terminal:  {program} chat --as alice --room lobby --url {here}")
        click.echo("  to stop:  Ctrl+C")

    try:
        sys.exit(asyncio.run(serve(settings, announce)))
    except (CannotListen, ExtensionError, StorageError, UntestedVersion) as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(FAILED)


@main.command("check-config")
@settings_flags
def check_config(config: Path | None, assignments: tuple[str, ...], **flags: Any) -> None:
    """Print the settings in force and where each came from."""
    click.echo(describe(load_from_flags(config, assignments, flags)))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--bits", type=click.IntRange(2048, 8192), default=3072, show_default=True)
def keygen(file: Path, bits: int) -> None:
    """Make a private key in FILE, readable by you alone."""
    try:
        save_key(generate_key(bits), file)
    except KeyFileError as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(FAILED)
    click.echo(f"made {file}; whoever has it can speak in your name, so keep it to yourself")


@main.command()
@click.option("--as", "user_id", required=True, metavar="NAME", help="Your user id; registered on first use.")
@click.option("--room", required=True, help="The room to enter.")
@click.option("--url", default="ws://127.0.0.1:8080/ws", show_default=True)
@click.option("--key", type=click.Path(path_type=Path), help="Your private key.  [default: a file of NAME's own]")
def chat(user_id: str, room: str, url: str, key: Path | None) -> None:
    """Chat, line by line. An empty line is not sent; Ctrl+D leaves."""
    if not is_user_id(user_id):
        raise click.BadParameter("must be 3 to 32 letters, digits, _ or -", param_hint="--as")
    if not is_room_id(room):
        raise click.BadParameter("must be 1 to 128 characters, none of them a control character", param_hint="--room")
    try:
        asyncio.run(chat_in_lines(url, Identity.load_or_create(user_id, key), room))
    except (ConnectionLost, KeyFileError, NotSent, PutOut, Refused) as error:
        click.echo(f"chat-actors: {error}", err=True)
        if isinstance(error, Refused) and error.code == refusals.INVALID_SIGNATURE.code:
            click.echo(f"  {user_id} belongs to another key: choose another name, or name the key with --key", err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        pass


for command in (backup, extensions, export_room, import_room, protocol, users):
    main.add_command(command)
