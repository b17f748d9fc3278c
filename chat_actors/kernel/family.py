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
    """The running and the ending actors, by path. A path has at most one of each.

    With both, the running one is a successor, whose task waits for the end of the other.
    """

    __slots__ = ("_ending", "_running")

    def __init__(self) -> None:
        self._running: dict[str, Cell] = {}
        self._ending: dict[str, Cell] = {}

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
        # A successor that is cancelled while it waits has nothing to end, so its predecessor keeps the path.
        self._ending.setdefault(cell.path, cell)

    def remove(self, cell: Cell) -> None:
        """Remove an actor that has ended."""
        if self._ending.get(cell.path) is cell:
            del self._ending[cell.path]

    def ending(self, path: str) -> Cell | None:
        """Return the actor of this path that is ending, if there is one."""
        return self._ending.get(path)

    def with_ending(self) -> list[Cell]:
        """All actors that have not ended: first those that are ending, then the running ones, oldest first."""
        return [*self._ending.values(), *self._running.values()]

    def walk(self) -> Iterator[Cell]:
        """All actors that have not ended, with their descendants, parents before children."""
        for cell in self.with_ending():
            yield cell
            yield from cell.family.walk()
