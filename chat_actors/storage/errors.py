"""The exception of every storage adapter."""

from __future__ import annotations


class StorageError(Exception):
    """A call to a storage failed: the disk is full, the file is locked or damaged, the storage is closed.

    Attributes:
        action: The attempted action, as a verb phrase: "store messages".
        where: The file, or "memory".
        problem: The cause of the failure.
        remedy: Advice for the operator, as an imperative.
    """

    def __init__(self, action: str, where: str, problem: str, remedy: str) -> None:
        self.action = action
        self.where = where
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"cannot {self.action} in {self.where}: {self.problem}; {self.remedy}"
