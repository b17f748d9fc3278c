"""The actors under one parent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar


class Child(Protocol):
    """The part of a cell that families use."""

    @property
    def path(self) -> str: ...
    @property
    def family(self) -> Family[Any]: ...


Cell = TypeVar("Cell", bound=Child)


class Family(Generic[Cell]):
    """The running actors by path, and the ending ones, whose names are already free for a successor."""

    __slots__ = ("_ending", "_running")

    def __init__(self) -> None:
        self._running: dict[str, Cell] = {}
        self._ending: dict[Cell, None] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._running

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Cell]:
        """The running actors, oldest first."""
        return iter(self._running.values())

    def add(self, cell: Cell) -> None:
        self._running[cell.path] = cell

    def move_to_ending(self, cell: Cell) -> None:
        del self._running[cell.path]
        self._ending[cell] = None

    def remove(self, cell: Cell) -> None:
        """Remove an actor that has ended."""
        self._ending.pop(cell, None)

    def with_ending(self) -> list[Cell]:
        """All actors that have not ended: first those that are ending, then the running ones, oldest first."""
        return [*self._ending, *self._running.values()]

    def walk(self) -> Iterator[Cell]:
        """All actors that have not ended, with their descendants, parents before children."""
        for cell in self.with_ending():
            yield cell
            yield from cell.family.walk()
