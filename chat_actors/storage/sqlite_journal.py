"""The journal in an SQLite file: the embedded default."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from chat_actors.storage.journal import (
    DEDUPE_SECONDS,
    PAGE_BYTES,
    PRUNE_STEP,
    Append,
    Appended,
    Extent,
    Missed,
    Page,
    Receipt,
    Retention,
    StoredMessage,
)
from chat_actors.storage.sqlite_file import SqliteFile

ROOMS_IN_A_STEP = 200
"""Rooms that one step of pruning examines at most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_INSERT = "INSERT INTO messages (room, seq, user_id, content, at) VALUES (?, ?, ?, ?, ?)"
_OLDEST = "SELECT seq, user_id, content, at FROM messages WHERE room = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?"
_NEWEST = _OLDEST.replace("ORDER BY seq", "ORDER BY seq DESC")


class SqliteJournal:
    """The messages in a file. The file's `durability` says what survives a power cut.

    The numbers of a room go up by one. The table `rooms` holds the first and the last number of each room, so that
    missed messages need not be counted. The primary key of `messages` is room and number, so that a page is one range
    scan, wherever it begins.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file.share()
        self._pruned_room = 0  # key of the room after which the next step of pruning begins; 0: at the first

    async def commit(self, batch: Sequence[Append], at: datetime) -> Sequence[Appended]:
        return await self._file.write("store messages", lambda connection: _store(connection, batch, at))

    async def extent(self, room_id: str) -> Extent:
        def select(connection: sqlite3.Connection) -> Extent:
            room = _find_room(connection, room_id)
            return Extent() if room is None else Extent(room[1], room[2])

        return await self._file.read("read messages", select)

    async def page(self, room_id: str, *, after: int | None = None, before: int | None = None, limit: int) -> Page:
        return await self._file.read(
            "read messages", lambda connection: _read_page(connection, room_id, after, before, limit)
        )

    async def missed(self, room_id: str, *, after: int, up_to: int) -> Missed:
        extent = await self.extent(room_id)
        last = min(up_to, extent.last)
        ever = max(0, last - after)
        kept = max(0, last - max(after, extent.first - 1))
        return Missed(kept, ever - kept)

    async def receipt(self, room_id: str, user_id: str, client_msg_id: str) -> Receipt | None:
        def select(connection: sqlite3.Connection) -> Receipt | None:
            room = _find_room(connection, room_id)
            return None if room is None else _receipt_of(connection, room[0], user_id, client_msg_id)

        return await self._file.read("read messages", select)

    async def prune(self, retention: Retention, now: datetime) -> bool:
        def step(connection: sqlite3.Connection) -> tuple[bool, int]:
            more = _forget_receipts(connection, _milliseconds(now - timedelta(seconds=DEDUPE_SECONDS)))
            more_rooms, last_room = _prune_rooms(connection, self._pruned_room, retention, now)
            return more or more_rooms, last_room

        more, self._pruned_room = await self._file.write("remove messages", step)
        return more

    async def load(self, room_id: str, messages: Iterator[tuple[str, str, datetime]]) -> int:
        """Append messages (user id, content, time) under new numbers. The number of messages.

        All are one transaction: none is stored if the iterator raises. The iterator runs in the writer's thread.
        """
        return await self._file.write("store messages", lambda connection: _load(connection, room_id, messages))

    async def aclose(self) -> None:
        await self._file.aclose()


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


def _time(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND


def _find_room(connection: sqlite3.Connection, room_id: str) -> tuple[int, int, int] | None:
    """The room's key, its first and its last number."""
    row: tuple[int, int, int] | None = connection.execute(
        "SELECT id, first_seq, last_seq FROM rooms WHERE room_id = ?", (room_id,)
    ).fetchone()
    return row


# -- writing ---------------------------------------------------------------------------------------------------------


def _store(connection: sqlite3.Connection, batch: Sequence[Append], at: datetime) -> Sequence[Appended]:
    return [_append(connection, append, _milliseconds(at)) for append in batch]


def _append(connection: sqlite3.Connection, append: Append, at: int) -> Appended:
    # This thread competes with the event loop for the GIL, so each message costs one row and two records, no more.
    room, last = _find_or_make_room(connection, append.room_id)
    stamp = _time(at)
    rows, messages, receipts = [], [], []
    for draft in append.drafts:
        if draft.client_msg_id is not None:
            receipt = _receipt_of(connection, room, draft.user_id, draft.client_msg_id)
            if receipt is not None:
                receipts.append(receipt)
                continue
            connection.execute(
                "INSERT INTO receipts (room, user_id, client_msg_id, seq, at) VALUES (?, ?, ?, ?, ?)",
                (room, draft.user_id, draft.client_msg_id, last + 1, at),
            )
        last += 1
        rows.append((room, last, draft.user_id, draft.content, at))
        messages.append(StoredMessage(last, draft.user_id, draft.content, stamp))
        receipts.append(Receipt(last, stamp, True))
    if rows:
        connection.executemany(_INSERT, rows)
        connection.execute("UPDATE rooms SET last_seq = ? WHERE id = ?", (last, room))
    return Appended(messages, receipts)


def _find_or_make_room(connection: sqlite3.Connection, room_id: str) -> tuple[int, int]:
    """The room's key and its last number."""
    found = _find_room(connection, room_id)
    if found is not None:
        return found[0], found[2]
    return int(connection.execute("INSERT INTO rooms (room_id) VALUES (?)", (room_id,)).lastrowid or 0), 0


def _load(connection: sqlite3.Connection, room_id: str, messages: Iterator[tuple[str, str, datetime]]) -> int:
    room, before = _find_or_make_room(connection, room_id)
    last = before

    def rows() -> Iterator[tuple[int, int, str, str, int]]:
        nonlocal last
        for user_id, content, at in messages:
            last += 1
            yield room, last, user_id, content, _milliseconds(at)

    connection.executemany(_INSERT, rows())
    connection.execute("UPDATE rooms SET last_seq = ? WHERE id = ?", (last, room))
    return last - before


def _receipt_of(connection: sqlite3.Connection, room: int, user_id: str, client_msg_id: str) -> Receipt | None:
    row = connection.execute(
        "SELECT seq, at FROM receipts WHERE room = ? AND user_id = ? AND client_msg_id = ?",
        (room, user_id, client_msg_id),
    ).fetchone()
    return None if row is None else Receipt(row[0], _time(row[1]), False)


# -- reading ---------------------------------------------------------------------------------------------------------


def _read_page(connection: sqlite3.Connection, room_id: str, after: int | None, before: int | None, limit: int) -> Page:
    room = _find_room(connection, room_id)
    if room is None:
        return Page((), more=False)
    cursor = connection.execute(
        _NEWEST if after is None else _OLDEST,
        (room[0], -1 if after is None else after, room[2] + 1 if before is None else before, limit + 1),
    )
    found: list[StoredMessage] = []
    size = 0
    more = False
    for seq, user_id, content, at in cursor:
        size += len(content.encode())
        if len(found) == limit or (found and size > PAGE_BYTES):
            more = True
            break
        found.append(StoredMessage(seq, user_id, content, _time(at)))
    cursor.close()
    if after is None:
        found.reverse()
    return Page(found, more)


# -- pruning ---------------------------------------------------------------------------------------------------------


def _forget_receipts(connection: sqlite3.Connection, older_than: int) -> bool:
    """Delete old receipts; their ids are in the order of time. Whether there may be more to delete."""
    oldest = connection.execute("SELECT id, at FROM receipts ORDER BY id LIMIT ?", (PRUNE_STEP,)).fetchall()
    expired = [key for key, at in oldest if at < older_than]
    if expired:
        connection.execute("DELETE FROM receipts WHERE id <= ?", (expired[-1],))
    return len(expired) == PRUNE_STEP


def _prune_rooms(
    connection: sqlite3.Connection, after_room: int, retention: Retention, now: datetime
) -> tuple[bool, int]:
    """Prune the next rooms. Whether there is more to do, and the key of the room after which the next step begins."""
    if not retention.keep_messages and not retention.keep_days:
        return False, 0
    rooms = connection.execute(
        "SELECT id, first_seq, last_seq FROM rooms WHERE id > ? ORDER BY id LIMIT ?", (after_room, ROOMS_IN_A_STEP)
    ).fetchall()
    oldest = _milliseconds(now - timedelta(days=retention.keep_days)) if retention.keep_days else None
    budget = PRUNE_STEP
    for room, first, last in rooms:
        keep_from = max(first, last - retention.keep_messages + 1) if retention.keep_messages else first
        keep_from = min(keep_from, first + budget)
        if oldest is not None:
            keep_from = _first_not_older(connection, room, keep_from, oldest, budget - (keep_from - first))
        if keep_from > first:
            connection.execute("DELETE FROM messages WHERE room = ? AND seq < ?", (room, keep_from))
            connection.execute("UPDATE rooms SET first_seq = ? WHERE id = ?", (keep_from, room))
            budget -= keep_from - first
        if budget <= 0:
            return True, int(room) - 1  # this room may have more
    return (True, int(rooms[-1][0])) if len(rooms) == ROOMS_IN_A_STEP else (False, 0)


def _first_not_older(connection: sqlite3.Connection, room: int, first: int, oldest: int, budget: int) -> int:
    """The number of the first message from `first` on that is not older, after `budget` messages at most."""
    query = "SELECT seq, at FROM messages WHERE room = ? AND seq >= ? ORDER BY seq LIMIT ?"
    for seq, at in connection.execute(query, (room, first, budget)):
        if at >= oldest:
            break
        first = int(seq) + 1
    return first
