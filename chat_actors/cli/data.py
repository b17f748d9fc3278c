"""The commands for stored data: export, import, backup."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread
import click
import msgspec

from chat_actors.cli.data_folder import CommandFailed, open_data, progress_bar, run_command
from chat_actors.cli.flags import data_flags, load_from_flags
from chat_actors.protocol import format_timestamp, is_room_id, is_sender_id
from chat_actors.storage import SqliteJournal

PAGE_MESSAGES = 200
"""Messages that an export reads at a time."""

REPORT_EVERY = 100
"""Lines of an import between two updates of the progress bar."""


class ExportedMessage(msgspec.Struct, frozen=True, rename="camel"):
    """One message in an exported file, without its number: an import assigns new ones."""

    user_id: str
    content: str
    timestamp: datetime


class InvalidLine(CommandFailed):
    """A line of an imported file is not a message."""

    def __init__(self, number: int, problem: str) -> None:
        self.number = number
        self.problem = problem

    def __str__(self) -> str:
        return f"line {self.number}: {self.problem}; nothing was imported"


# -- messages ----------------------------------------------------------------------------------------------------------


@click.command("export")
@click.argument("room")
@click.option("--out", type=click.Path(path_type=Path), help="File to write or overwrite.  [default: standard output]")
@data_flags
def export_room(room: str, out: Path | None, config: Path | None, folder: str | None) -> None:
    """Write the messages of ROOM, one JSON object a line, oldest first. The server may be running."""

    async def work() -> None:
        async with open_data(config, folder) as file, contextlib.aclosing(SqliteJournal(file)) as journal:
            # Opened here, so that `_run` reports its errors as well.
            with contextlib.nullcontext(sys.stdout.buffer) if out is None else out.open("wb") as writing:
                await _export(journal, room, writing)
                writing.flush()

    run_command(work)


async def _export(journal: SqliteJournal, room: str, out: BinaryIO) -> None:
    extent = await journal.extent(room)
    if not extent.last:
        raise CommandFailed(f"nothing was ever said in a room {room!r}")
    encoder = msgspec.json.Encoder()
    last = extent.first - 1
    with progress_bar(f"export {room}", extent.last - last) as bar:
        while (page := await journal.page(room, after=last, before=extent.last + 1, limit=PAGE_MESSAGES)).messages:
            for stored in page.messages:
                line = {"seq": stored.seq, "userId": stored.user_id, "content": stored.content}
                out.write(encoder.encode({**line, "timestamp": format_timestamp(stored.at)}) + b"\n")
            bar.update(page.messages[-1].seq - last)
            last = page.messages[-1].seq


@click.command("import")
@click.argument("room")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--append", is_flag=True, help="Add to the messages that ROOM has already.")
@data_flags
def import_room(room: str, file: BinaryIO, append: bool, config: Path | None, folder: str | None) -> None:
    """Add the messages of FILE, as written by export, to ROOM: all of them, or none if a line is not valid.

    They keep their users and times and get new numbers. The server must not be running. No content may be longer than
    the settings allow, as a client could not receive it.
    """

    async def work() -> None:
        if not is_room_id(room):
            raise CommandFailed(f"{room!r} cannot be the id of a room: 1 to 128 characters without control characters")
        limit = load_from_flags(config, (), {"folder": folder}).settings.limits.longest_content
        is_aborted = threading.Event()
        with _seekable(file) as lines:
            try:
                await anyio.to_thread.run_sync(_check, room, lines, is_aborted, limit, abandon_on_cancel=True)
                async with (
                    open_data(config, folder, exclusive=True, make=True) as data,
                    contextlib.aclosing(SqliteJournal(data)) as journal,
                ):
                    if (await journal.extent(room)).last and not append:
                        raise CommandFailed(f"the room {room!r} has messages already; add --append to put these after")
                    count = await journal.load(room, _messages(room, lines, is_aborted, limit))
            except anyio.get_cancelled_exc_class():
                is_aborted.set()  # Ctrl+C: otherwise the thread would import the rest
                raise
        click.echo(f"{count} messages were put into {room} in {data.path.parent}", err=True)

    run_command(work)


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


def _check(room: str, lines: BinaryIO, is_aborted: threading.Event, limit: int) -> None:
    """Read all lines before anything is changed, also the folder. Raises `InvalidLine`."""
    for _ in _messages(room, lines, is_aborted, limit, label="check"):
        pass


def _messages(
    room: str, lines: BinaryIO, is_aborted: threading.Event, limit: int = 0, *, label: str = "import"
) -> Iterator[tuple[str, str, datetime]]:
    size = lines.seek(0, 2)
    lines.seek(0)
    unreported = 0
    with progress_bar(f"{label} {room}", size) as bar:
        for number, line in enumerate(lines, start=1):
            if is_aborted.is_set():
                raise InvalidLine(number, "the import was aborted")
            unreported += len(line)
            if number % REPORT_EVERY == 0:
                bar.update(unreported)
                unreported = 0
            if line.strip():
                yield _read_line(number, line, limit)
        bar.update(unreported)


def _read_line(number: int, line: bytes, limit: int) -> tuple[str, str, datetime]:
    try:
        read = msgspec.json.decode(line, type=ExportedMessage)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidLine(number, str(error)) from None
    if not is_sender_id(read.user_id):
        raise InvalidLine(number, f"{read.user_id!r} cannot be a user id")
    if not read.content:
        raise InvalidLine(number, "the content is empty")
    if limit and len(read.content) > limit:
        problem = f"the content has {len(read.content)} characters, and the limit is {limit}"
        raise InvalidLine(number, f"{problem} (limits.content_chars and limits.frame_bytes in --config)")
    if read.timestamp.tzinfo is None:
        raise InvalidLine(number, "the timestamp has no time zone; end it with Z for UTC")
    try:
        return read.user_id, read.content, read.timestamp.astimezone(UTC)
    except OverflowError:
        raise InvalidLine(number, "the timestamp is before the year 1 or after 9999, in UTC") from None


# -- everything --------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_flags
def backup(file: Path, config: Path | None, folder: str | None) -> None:
    """Copy all accounts and messages to a new FILE, as of now. The server may be running.

    To restore it: stop the server, put FILE in place of chat.db in its folder, and remove chat.db-wal and chat.db-shm.
    """

    async def work() -> None:
        async with open_data(config, folder) as data:
            with progress_bar(f"back up to {file}", 1) as bar:

                def report(left: int, total: int) -> None:
                    bar.length = total
                    bar.update(total - left - bar.pos)

                await data.copy_to(file, report)
        click.echo(f"{file} holds all accounts and messages; keep it to yourself", err=True)

    run_command(work)
