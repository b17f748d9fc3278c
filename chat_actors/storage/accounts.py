"""The accounts port: the guarantees of every adapter."""

from __future__ import annotations

from typing import Protocol


class Accounts(Protocol):
    """User ids and their public keys.

    Ids are compared exactly. Calls may overlap; each is atomic, and of several registrations of one id exactly one
    succeeds. An account survives a crash of the process once `register` has returned True (adapters that store nothing
    on disk say so). A call that fails raises `StorageError`, and no other exception; it has changed nothing.
    """

    async def register(self, user_id: str, key: bytes) -> bool:
        """Store the key if the id has none. Whether it was stored; False if the id is taken."""

    async def key_of(self, user_id: str) -> bytes | None:
        """The key that the id was registered with, or None."""

    async def aclose(self) -> None:
        """Close files and connections. Every other call then raises `StorageError`; a second close does nothing."""
