"""Finds extensions by name, imports them, and gives them their settings."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from chat_actors.chat import DuplicateRoomKind, Enabled, Extension, Extensions
from chat_actors.kernel import BadHandler
from chat_actors.protocol import DuplicateCommand

GROUP = "chat_actors.extensions"
"""The group of entry points in which installed packages name their extensions."""


class ExtensionError(Exception):
    """An extension cannot be used. `spec` is its configured name, `problem` the reason."""

    def __init__(self, spec: str, problem: str) -> None:
        self.spec = spec
        self.problem = problem

    def __str__(self) -> str:
        return f"the extension {self.spec!r} {self.problem}"


class Loaded(msgspec.Struct, frozen=True):
    """An enabled extension, and the `module:name` from which it was imported."""

    origin: str
    enabled: Enabled


def available() -> Sequence[EntryPoint]:
    """The extensions of installed packages, by name."""
    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def load_extensions(specs: Sequence[str], sections: Mapping[str, Mapping[str, Any]]) -> Sequence[Loaded]:
    """Load each extension, and give it the settings of its section.

    `specs`: the name of an entry point, or `module:name`. Raises `ExtensionError`; also if two have one name, or for a
    section that belongs to none of them.
    """
    found: dict[str, Loaded] = {}
    for spec in specs:
        origin = _origin_of(spec)
        extension = _import(spec, origin)
        if extension.name in found:
            raise ExtensionError(spec, f"has the name of the one from {found[extension.name].origin}: {extension.name}")
        found[extension.name] = Loaded(origin, _with_settings(spec, extension, sections.get(extension.name, {})))
    for name in sections:
        if name not in found:
            raise ExtensionError(name, "has settings but is not switched on; name it in server.extensions")
    return list(found.values())


def combine(loaded: Sequence[Loaded]) -> Extensions:
    """Combine the extensions. Raises `ExtensionError`."""
    try:
        return Extensions([one.enabled for one in loaded])
    except (DuplicateCommand, DuplicateRoomKind) as error:
        raise ExtensionError(error.second, f"cannot be used: {error}") from None
    except BadHandler as error:
        raise ExtensionError(
            ", ".join(one.enabled.extension.name for one in loaded), f"cannot be used: {error}"
        ) from None


def _origin_of(spec: str) -> str:
    if ":" in spec:
        return spec
    for point in available():
        if point.name == spec:
            return point.value
    installed = ", ".join(point.name for point in available()) or "none"
    raise ExtensionError(spec, f"is not installed; write module:thing, or one of those that are: {installed}")


def _import(spec: str, origin: str) -> Extension:
    module, _, thing = origin.partition(":")
    try:
        found = getattr(importlib.import_module(module), thing)
    except Exception as error:
        # A foreign module may raise anything.
        raise ExtensionError(spec, f"cannot be imported from {origin}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Extension):
        raise ExtensionError(spec, f"is no Extension: {origin} is a {type(found).__name__}")
    return found


def _with_settings(spec: str, extension: Extension, section: Mapping[str, Any]) -> Enabled:
    try:
        return Enabled(extension, msgspec.convert(dict(section), extension.settings))
    except msgspec.ValidationError as error:
        raise ExtensionError(spec, f"cannot use its settings [extensions.{extension.name}]: {error}") from None
