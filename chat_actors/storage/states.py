"""The states port: what every storage of the state of extensions promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class States(Protocol):
    """Values by their keys, in spaces that know nothing of each other.

    Calls may overlap; each is atomic, and a reader sees all that a call which has returned has written. What `put`
    returned from survives the end of the process, however it ends (adapters that keep nothing on disk say so).
    `StorageError` is the only exception of a failed storage; nothing has changed then.
    """

    async def get(self, space: str, key: str) -> bytes | None:
        """The value of a key, or None."""

    async def put(self, space: str, values: Mapping[str, bytes | None]) -> None:
        """Set all of these or none of them; None removes a key."""

    async def page(
        self, space: str, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[tuple[str, bytes]]:
        """Keys that begin with `prefix` and come after `after`, with their values: the first ones, in the order of
        their code points."""

    async def aclose(self) -> None:
        """Let go of files. Everything else raises `StorageError` afterwards; closing again does nothing."""
