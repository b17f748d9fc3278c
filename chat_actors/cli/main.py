"""`chat-actors`: the command group, and the commands of the server."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from chat_actors import __version__
from chat_actors.cli.chat_command import chat
from chat_actors.cli.data import backup, export_room, import_room
from chat_actors.cli.extensions import extensions
from chat_actors.cli.flags import BAD_SETTINGS, load_enabled, load_from_flags, settings_flags
from chat_actors.cli.protocol import protocol
from chat_actors.cli.users import users
from chat_actors.client import KeyFileError, generate_key, save_key
from chat_actors.server.extension_settings import settings_rows
from chat_actors.server.serve import CannotListen, serve
from chat_actors.server.settings_sources import describe
from chat_actors.server.transport import UntestedVersion
from chat_actors.storage import StorageError

FAILED = 1
PROGRAM = "chat-actors"


@click.group()
@click.version_option(__version__, prog_name="chat-actors")
def main() -> None:
    """A chat server whose users are key pairs, and a terminal client for it."""


def _program(started_as: str) -> str:
    """The command that runs this program again: its name if the PATH finds it, else the path it was started with."""
    name = Path(started_as).name
    if name != PROGRAM or shutil.which(PROGRAM) == started_as:
        return PROGRAM
    return started_as


@main.command("serve")
@settings_flags
def serve_command(config: Path | None, assignments: tuple[str, ...], **flags: Any) -> None:
    """Run the server until Ctrl+C."""
    settings = load_from_flags(config, assignments, flags).settings
    load_enabled(settings)  # before anything is opened or created
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("hypercorn").setLevel(logging.WARNING)

    def announce(url: str) -> None:
        folder = Path(settings.data.dir).absolute()
        program = _program(sys.argv[0])
        click.echo(f"chat-actors {__version__} is listening on {url}\n  everything is kept in {folder}")
        if url.startswith("http"):  # neither a browser nor the client can connect to a Unix socket
            here = url.replace("://0.0.0.0:", "://localhost:").replace("://[::]:", "://localhost:")
            click.echo(f"  to talk, in a browser:  {here}")
            click.echo(f"  or in another terminal:  {program} chat --as alice --room lobby --url {here}")
        click.echo("  to stop:  Ctrl+C")

    try:
        sys.exit(asyncio.run(serve(settings, announce)))
    except (CannotListen, StorageError, UntestedVersion) as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(FAILED)


@main.command("check-config")
@settings_flags
def check_config(config: Path | None, assignments: tuple[str, ...], **flags: Any) -> None:
    """Print the settings in effect and the origin of each. Checks the extensions and their settings too."""
    settings = load_from_flags(config, assignments, flags)
    enabled = [one.enabled for one in load_enabled(settings.settings, BAD_SETTINGS)[0]]
    rows = [row for one in enabled for row in settings_rows(one.extension.name, one.settings)]
    click.echo(describe(settings, rows))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--bits", type=click.IntRange(2048, 8192), default=3072, show_default=True)
@click.option("--encrypt", is_flag=True, help="Encrypt the key with a passphrase, which is prompted for.")
def keygen(file: Path, bits: int, encrypt: bool) -> None:
    """Generate a private key in FILE, which only you can read."""
    passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True) if encrypt else None
    try:
        save_key(generate_key(bits), file, passphrase)
    except KeyFileError as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(FAILED)
    click.echo(f"wrote {file}; anyone who has it can post under your name, so keep it to yourself")


for command in (backup, chat, extensions, export_room, import_room, protocol, users):
    main.add_command(command)
