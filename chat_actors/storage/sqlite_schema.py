"""The migrations of the SQLite file: one script for each version, applied once and in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

MIGRATIONS: Sequence[str] = (
    # 1: accounts
    """
    CREATE TABLE accounts (
        user_id TEXT PRIMARY KEY COLLATE BINARY,
        public_key BLOB NOT NULL,
        created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ) WITHOUT ROWID, STRICT;
    """,
    # 2: the journal
    """
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY,
        room_id TEXT NOT NULL UNIQUE COLLATE BINARY,
        first_seq INTEGER NOT NULL DEFAULT 1,
        last_seq INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE messages (
        room INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        content TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (room, seq)
    ) WITHOUT ROWID, STRICT;
    CREATE TABLE receipts (
        id INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        client_msg_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        UNIQUE (room, user_id, client_msg_id)
    ) STRICT;
    """,
    # 3: the state of extensions
    """
    CREATE TABLE states (
        space TEXT NOT NULL COLLATE BINARY,
        key TEXT NOT NULL COLLATE BINARY,
        value BLOB NOT NULL,
        PRIMARY KEY (space, key)
    ) WITHOUT ROWID, STRICT;
    """,
    # 4: users whose accounts were removed; their ids are reserved
    """
    CREATE TABLE removed_users (
        user_id TEXT PRIMARY KEY COLLATE BINARY,
        removed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        is_to_be_freed INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID, STRICT;
    CREATE TABLE removals_told (
        user_id TEXT NOT NULL COLLATE BINARY,
        extension TEXT NOT NULL,
        PRIMARY KEY (user_id, extension)
    ) WITHOUT ROWID, STRICT;
    """,
)


class SchemaTooNew(Exception):
    """A later version of this program wrote the file."""

    def __init__(self, found: int, known: int) -> None:
        self.found = found
        self.known = known

    def __str__(self) -> str:
        return f"its schema is version {self.found}, and this program knows versions up to {self.known}"


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the file to the newest version. Each migration and its version number are one transaction.

    Two processes may migrate at once: each migration reads the version again under the write lock. Raises
    `SchemaTooNew`, `sqlite3.Error`.
    """
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(migrations):
                raise SchemaTooNew(version, len(migrations))
            if version < len(migrations):
                for statement in filter(str.strip, migrations[version].split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1:d}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        if version >= len(migrations) - 1:
            return
