"""Test kits: a whole server in memory for extensions, and the conformance suites of `chat_actors.testing.storage`."""

from chat_actors.testing.memory_client import MemoryClient
from chat_actors.testing.memory_server import MemoryServer
from chat_actors.testing.virtual_time import on_virtual_time

__all__ = ["MemoryClient", "MemoryServer", "on_virtual_time"]
