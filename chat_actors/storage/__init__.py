"""What outlives the process: ports with their promises, and the adapters behind them."""

from chat_actors.storage.accounts import Accounts, StorageError
from chat_actors.storage.memory import MemoryAccounts
from chat_actors.storage.sqlite import SqliteAccounts

__all__ = ["Accounts", "MemoryAccounts", "SqliteAccounts", "StorageError"]
