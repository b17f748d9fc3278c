"""The commands for what is kept: export, import, backup, users."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import click
import msgspec

from chat_actors.cli.flags import data_flags, load_from_flags
from chat_actors.protocol import format_timestamp, is_room_id, is_user_id
from chat_actors.server.runtime import data_file
from chat_actors.storage import SqliteAccounts, SqliteFile, SqliteJournal, StorageError

PAGE_MESSAGES = 200
"""Messages that an export holds at once."""

REPORT_EVERY = 100
"""Lines of an import between two steps of its bar."""


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One message in an exported file, but for its number: an import gives new ones."""

    user_id: str
    content: str
    timestamp: datetime


class BadLine(Exception):
    """A line of a file is no message."""

    def __init__(self, number: int, problem: str) -> None:
        self.number = number
        self.problem = problem

    def __str__(self) -> str:
        return f"line {self.number}: {self.problem}; nothing was imported"


class NotPossible(Exception):
    """What was asked for cannot be done with these data."""


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do it, or say in one line why not."""
    try:
        anyio.run(work)
    except (BadLine, NotPossible, OSError, StorageError) as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(1)


@contextlib.asynccontextmanager
async def _opened(
    config: Path | None, folder: str | None, *, exclusive: bool = False, make: bool = False
) -> AsyncIterator[SqliteFile]:
    path = data_file(load_from_flags(config, (), {"folder": folder}).settings.data)
    if not path.exists() and not make:
        raise NotPossible(f"there are no data in {path.parent}; name the folder with --dir")
    file = await SqliteFile.open(path, exclusive=exclusive)
    async with contextlib.aclosing(file.share()):
        yield file


def _progress(label: str, length: int) -> Any:
    """A bar on the error stream if that is a terminal, else nothing."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


# -- messages ----------------------------------------------------------------------------------------------------------


@click.command("export")
@click.argument("room")
@click.option("--out", type=click.Path(path_type=Path), help="File to write, anew.  [default: standard output]")
@data_flags
def export_room(room: str, out: Path | None, config: Path | None, folder: str | None) -> None:
    """Write the messages of ROOM, one JSON object a line, oldest first. The server may be running."""

    async def work() -> None:
        async with _opened(config, folder) as file, contextlib.aclosing(SqliteJournal(file)) as journal:
            # Opened in here, so that what goes wrong with it is told like the rest.
            with contextlib.nullcontext(sys.stdout.buffer) if out is None else out.open("wb") as writing:
                await _export(journal, room, writing)
                writing.flush()

    _run(work)


async def _export(journal: SqliteJournal, room: str, out: BinaryIO) -> None:
    extent = await journal.extent(room)
    if not extent.last:
        raise NotPossible(f"nothing was ever said in a room {room!r}")
    encoder = msgspec.json.Encoder()
    last = extent.first - 1
    with _progress(f"export {room}", extent.last - last) as bar:
        while (page := await journal.page(room, after=last, before=extent.last + 1, limit=PAGE_MESSAGES)).messages:
            for stored in page.messages:
                line = {"seq": stored.seq, "userId": stored.user_id, "content": stored.content}
                out.write(encoder.encode({**line, "timestamp": format_timestamp(stored.at)}) + b"\n")
            bar.update(page.messages[-1].seq - last)
            last = page.messages[-1].seq


@click.command("import")
@click.argument("room")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--append", is_flag=True, help="Even if ROOM has messages already.")
@data_flags
def import_room(room: str, file: BinaryIO, append: bool, config: Path | None, folder: str | None) -> None:
    """Put the messages of FILE, as export writes them, into ROOM: all of them, or none if a line is bad.

    They keep their users and times and get new numbers. The server must not be running.
    """

    async def work() -> None:
        if not is_room_id(room):
            raise NotPossible(f"{room!r} cannot be the id of a room: 1 to 128 characters without control characters")
        async with (
            _opened(config, folder, exclusive=True, make=True) as data,
            contextlib.aclosing(SqliteJournal(data)) as journal,
        ):
            if (await journal.extent(room)).last and not append:
                raise NotPossible(f"the room {room!r} has messages already; add --append to put these behind them")
            is_aborted = threading.Event()
            with _seekable(file) as lines:
                try:
                    count = await journal.load(room, _reported(room, lines, is_aborted))
                except anyio.get_cancelled_exc_class():
                    is_aborted.set()  # Ctrl+C: else the thread would go on and import everything
                    raise
        click.echo(f"{count} messages were put into {room} in {data.path.parent}", err=True)

    _run(work)


@contextlib.contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    if file.seekable():
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        while block := file.read(1 << 20):
            copy.write(block)
        copy.seek(0)
        yield copy


def _reported(room: str, lines: BinaryIO, is_aborted: threading.Event) -> Iterator[tuple[str, str, datetime]]:
    size = lines.seek(0, 2)
    lines.seek(0)
    unreported = 0
    with _progress(f"import {room}", size) as bar:
        for number, line in enumerate(lines, start=1):
            if is_aborted.is_set():
                raise BadLine(number, "the import was aborted")
            unreported += len(line)
            if number % REPORT_EVERY == 0:
                bar.update(unreported)
                unreported = 0
            if line.strip():
                yield _read_line(number, line)
        bar.update(unreported)


def _read_line(number: int, line: bytes) -> tuple[str, str, datetime]:
    try:
        read = msgspec.json.decode(line, type=Line)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadLine(number, str(error)) from None
    if not is_user_id(read.user_id):
        raise BadLine(number, f"{read.user_id!r} cannot be a user id")
    if not read.content:
        raise BadLine(number, "the content is empty")
    if read.timestamp.tzinfo is None:
        raise BadLine(number, "the timestamp has no time zone; end it with Z for UTC")
    try:
        return read.user_id, read.content, read.timestamp.astimezone(UTC)
    except OverflowError:
        raise BadLine(number, "the timestamp is before the year 1 or after 9999, in UTC") from None


# -- everything --------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_flags
def backup(file: Path, config: Path | None, folder: str | None) -> None:
    """Copy accounts and messages, as they are now, to a new FILE. The server may be running.

    To restore it: stop the server, put FILE in place of chat.db in its folder, and remove chat.db-wal and chat.db-shm.
    """

    async def work() -> None:
        async with _opened(config, folder) as data:
            with _progress(f"back up to {file}", 1) as bar:

                def report(left: int, total: int) -> None:
                    bar.length = total
                    bar.update(total - left - bar.pos)

                await data.copy_to(file, report)
        click.echo(f"{file} holds all accounts and messages; keep it to yourself", err=True)

    _run(work)


@click.group()
def users() -> None:
    """Who has an account."""


@users.command("list")
@data_flags
def list_users(config: Path | None, folder: str | None) -> None:
    """Print each user's id and since when there is one. The server may be running."""

    async def work() -> None:
        async with _opened(config, folder) as file, contextlib.aclosing(SqliteAccounts(file)) as accounts:
            for user in await accounts.users():
                click.echo(f"{user.user_id}\t{user.created_at}")

    _run(work)


@users.command("remove")
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_flags
def remove_user(user: str, yes: bool, config: Path | None, folder: str | None) -> None:
    """Remove the account of USER. The server must not be running. What USER has said stays.

    The id is then free: whoever registers it next speaks under it.
    """

    async def work() -> None:
        async with (
            _opened(config, folder, exclusive=True) as file,
            contextlib.aclosing(SqliteAccounts(file)) as accounts,
        ):
            if not yes and not click.confirm(f"Remove {user}? Anybody can then register that id"):
                raise NotPossible("nothing was removed")
            if not await accounts.remove(user):
                raise NotPossible(f"there is no user {user!r}; see: chat-actors users list")
        click.echo(f"{user} is removed")

    _run(work)
