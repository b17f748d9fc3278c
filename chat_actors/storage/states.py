"""The states port, for the state of extensions: the guarantees of every adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


class States(Protocol):
    """Values by key, in separate spaces.

    Calls may overlap. Each is atomic, and a read sees every `put` that has returned. A value survives a crash of the
    process once `put` has returned (adapters that store nothing on disk say so). A call that fails raises
    `StorageError`, and no other exception; it has changed nothing.
    """

    async def get(self, space: str, key: str) -> bytes | None:
        """The value of a key, or None."""

    async def put(self, space: str, values: Mapping[str, bytes | None]) -> None:
        """Set all of these values or none of them. None removes a key."""

    async def page(
        self, space: str, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, bytes]]:
        """The first `limit` keys that begin with `prefix` and are above `after`, with their values.

        Keys are in the order of their code points.
        """

    async def aclose(self) -> None:
        """Close files and connections. Every other call then raises `StorageError`; a second close does nothing."""


@runtime_checkable
class StateSpaces(Protocol):
    """The part of a states adapter that lists its spaces. Without it, the data of removed users cannot be erased."""

    async def spaces(self, *, prefix: str = "", after: str = "", limit: int = 100) -> Sequence[str]:
        """The first `limit` spaces with values that begin with `prefix` and are above `after`, as of `page`."""
