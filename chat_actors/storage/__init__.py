"""Persistent data: the ports for accounts, messages and the state of extensions, and their adapters."""

from chat_actors.storage.accounts import Accounts
from chat_actors.storage.errors import StorageError
from chat_actors.storage.journal import (
    DEDUPE_SECONDS,
    PAGE_BYTES,
    PRUNE_STEP,
    Append,
    Appended,
    Committed,
    Draft,
    Extent,
    Journal,
    Missed,
    Page,
    Receipt,
    Retention,
    StoredMessage,
)
from chat_actors.storage.memory_accounts import MemoryAccounts
from chat_actors.storage.memory_journal import MemoryJournal
from chat_actors.storage.memory_states import MemoryStates
from chat_actors.storage.removals import Removal, Removals
from chat_actors.storage.sqlite_accounts import SqliteAccounts, User
from chat_actors.storage.sqlite_file import SqliteFile
from chat_actors.storage.sqlite_journal import SqliteJournal
from chat_actors.storage.sqlite_states import SqliteStates
from chat_actors.storage.states import States, StateSpaces

__all__ = [
    "DEDUPE_SECONDS",
    "PAGE_BYTES",
    "PRUNE_STEP",
    "Accounts",
    "Append",
    "Appended",
    "Committed",
    "Draft",
    "Extent",
    "Journal",
    "MemoryAccounts",
    "MemoryJournal",
    "MemoryStates",
    "Missed",
    "Page",
    "Receipt",
    "Removal",
    "Removals",
    "Retention",
    "SqliteAccounts",
    "SqliteFile",
    "SqliteJournal",
    "SqliteStates",
    "StateSpaces",
    "States",
    "StorageError",
    "StoredMessage",
    "User",
]
