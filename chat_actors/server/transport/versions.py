"""The versions of Hypercorn and Quart that the seam was tested with."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

TESTED = {"hypercorn": "0.18.0", "quart": "0.22.0"}


class UntestedVersion(Exception):
    """Hypercorn or Quart has another version than the seam was tested with."""

    def __init__(self, package: str, found: str, tested: str) -> None:
        self.package = package
        self.found = found
        self.tested = tested

    def __str__(self) -> str:
        return (
            f"{self.package} {self.found} is installed, but chat-actors relies on the inside of "
            f"{self.package} {self.tested}; run: pip install '{self.package}=={self.tested}'"
        )


def check_versions(find: Callable[[str], str] = version) -> None:
    """Raise `UntestedVersion` for the first package with another version."""
    for package, tested in TESTED.items():
        if (found := find(package)) != tested:
            raise UntestedVersion(package, found, tested)
