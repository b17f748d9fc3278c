"""The removals port: the ids of users whose accounts were removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec


class Removal(msgspec.Struct, frozen=True):
    """A user whose account was removed. The id is reserved."""

    user_id: str
    removed_at: str = ""
    """When the account was removed: UTC in ISO 8601."""

    told: frozenset[str] = frozenset()
    """The extensions that have erased the user's data."""

    is_to_be_freed: bool = False
    """Whether the operator wants the id to be free once all extensions have erased the user's data."""


class Removals(Protocol):
    """The removed users of an accounts adapter, which reserves their ids: `register` returns False for them.

    Calls may overlap; each is atomic. A call that fails raises `StorageError`, and no other exception; it has changed
    nothing.
    """

    async def is_reserved(self, user_id: str) -> bool:
        """Whether the user was removed and the id is not free yet."""

    async def removals(self) -> Sequence[Removal]:
        """All removed users whose ids are reserved, in the order of the ids."""

    async def mark_told(self, user_ids: Collection[str], extension: str) -> None:
        """Record that an extension has erased the data of these users."""

    async def free(self, user_id: str) -> bool:
        """Free a reserved id, so that it can be registered again. Returns whether it was reserved."""
