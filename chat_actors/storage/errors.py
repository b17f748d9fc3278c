"""What every storage raises when it cannot do its work."""

from __future__ import annotations


class StorageError(Exception):
    """The storage could not do what was asked: the disk is full, the file is locked or damaged, it is closed."""

    def __init__(self, action: str, where: str, problem: str, remedy: str) -> None:
        self.action = action
        self.where = where
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"cannot {self.action} in {self.where}: {self.problem}; {self.remedy}"
