"""A lock on the data that the operating system releases with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class InUse(Exception):
    """Another process has the lock. `pid` is what that process wrote into the file, or ""."""

    def __init__(self, pid: str) -> None:
        self.pid = pid

    def __str__(self) -> str:
        return f"process {self.pid} is using it" if self.pid else "another process is using it"


class FileLock:
    """An exclusive lock on a file beside the data (flock(2)). It ends with its process, so it is never stale."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises `InUse`, `OSError`."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._descriptor, 20).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise InUse(pid) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Release the lock. Call it once."""
        os.close(self._descriptor)
