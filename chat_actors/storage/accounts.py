"""The accounts port: what every storage of accounts promises."""

from __future__ import annotations

from typing import Protocol


class Accounts(Protocol):
    """User ids and their public keys.

    Ids are compared exactly. Calls may overlap; each is atomic, and of several registrations of one id exactly one
    succeeds. What `register` answered True to survives the end of the process, however it ends (adapters that keep
    nothing on disk say so). `StorageError` is the only exception of a failed storage; nothing has changed then.
    """

    async def register(self, user_id: str, key: bytes) -> bool:
        """Put if absent: True if the id is now this key's, False if it was taken."""

    async def key_of(self, user_id: str) -> bytes | None:
        """The key that the id was registered with, or None."""

    async def aclose(self) -> None:
        """Let go of files. Everything else raises `StorageError` afterwards; closing again does nothing."""
