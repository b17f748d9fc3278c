"""The actors under one parent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat_actors.kernel.cell import Cell


class Family:
    """Those that run, by path, and those that are ending, whose names are already free for a successor."""

    __slots__ = ("_ending", "_running")

    def __init__(self) -> None:
        self._running: dict[str, Cell] = {}
        self._ending: dict[Cell, None] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._running

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Cell]:
        """Those that run, oldest first."""
        return iter(self._running.values())

    def add(self, cell: Cell) -> None:
        self._running[cell.path] = cell

    def is_ending(self, cell: Cell) -> None:
        del self._running[cell.path]
        self._ending[cell] = None

    def has_ended(self, cell: Cell) -> None:
        self._ending.pop(cell, None)

    def everyone(self) -> list[Cell]:
        """All that have not ended yet: the ending ones first, then the running ones, oldest first."""
        return [*self._ending, *self._running.values()]

    def walk(self) -> Iterator[Cell]:
        """All that have not ended yet, with their descendants, parents before children."""
        for cell in self.everyone():
            yield cell
            yield from cell.family.walk()
