"""What the commands for stored data share: opening the data folder, and reporting failures in one line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import click

from chat_actors.cli.flags import load_from_flags
from chat_actors.server.runtime import data_file
from chat_actors.storage import SqliteFile, StorageError


class CommandFailed(Exception):
    """The command cannot be executed on this data."""


def run_command(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a command. Prints one line and exits if it fails."""
    try:
        anyio.run(work)
    except (CommandFailed, OSError, StorageError) as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(1)


@contextlib.asynccontextmanager
async def open_data(
    config: Path | None, folder: str | None, *, exclusive: bool = False, make: bool = False
) -> AsyncIterator[SqliteFile]:
    """Open the SQLite file for one block. Raises `CommandFailed` if it is missing and not to be made."""
    path = data_file(load_from_flags(config, (), {"folder": folder}).settings.data)
    if not path.exists() and not make:
        raise CommandFailed(f"there are no data in {path.parent}; name the folder with --dir")
    file = await SqliteFile.open(path, exclusive=exclusive)
    async with contextlib.aclosing(file.share()):
        yield file


def progress_bar(label: str, length: int) -> Any:
    """A progress bar on stderr, if that is a terminal."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
