"""Finds extensions by name, imports them, and gives them their settings."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from chat_actors.chat import DuplicateRoomKind, Enabled, Extension, Extensions, InvalidDeclaration
from chat_actors.chat.declaration_checks import check_declaration
from chat_actors.protocol import DuplicateTag
from chat_actors.server.extension_settings import convert_section
from chat_actors.server.settings_sources import SettingsError

GROUP = "chat_actors.extensions"
"""The group of entry points in which installed packages name their extensions."""

SHIPPED_IN = "chat_actors.extensions."
SHIPPED = frozenset({"direct", "moderation", "polls", "private_rooms", "typing", "webhooks"})
"""The names of the shipped extensions, which no other may have: it would read their stored state."""


class ExtensionError(Exception):
    """An extension cannot be used. `spec` is its configured name; empty if `problem`, the reason, names it."""

    def __init__(self, spec: str, problem: str) -> None:
        self.spec = spec
        self.problem = problem

    def __str__(self) -> str:
        return f"the extension {self.spec!r} {self.problem}" if self.spec else self.problem


class Loaded(msgspec.Struct, frozen=True):
    """An enabled extension, and the `module:name` from which it was imported."""

    origin: str
    enabled: Enabled


def available() -> Sequence[EntryPoint]:
    """The extensions of installed packages, by name."""
    return sorted(set(entry_points(group=GROUP)), key=lambda point: (point.name, point.value))


def load_extensions(specs: Sequence[str], sections: Mapping[str, Mapping[str, Any]]) -> Sequence[Loaded]:
    """Load each extension, and give it the settings of its section.

    `specs`: the name of an entry point, or `module:name`. Raises `ExtensionError`; also if two have one name, or for a
    section that belongs to none of them.
    """
    found: dict[str, Loaded] = {}
    for spec in specs:
        origin = _origin_of(spec)
        extension = _import(spec, origin)
        try:
            check_declaration(extension)
        except InvalidDeclaration as error:
            raise ExtensionError("", str(error)) from None
        if extension.name in found:
            raise ExtensionError(spec, f"has the name of the one from {found[extension.name].origin}: {extension.name}")
        if extension.name in SHIPPED and not origin.startswith(SHIPPED_IN):
            raise ExtensionError(spec, f"has the name of a shipped extension, {extension.name}: give it another name")
        found[extension.name] = Loaded(origin, _with_settings(spec, extension, sections.get(extension.name, {})))
    for name in sections:
        if name not in found:
            raise ExtensionError(name, "has settings but is not switched on; name it in server.extensions")
    return list(found.values())


def combine(loaded: Sequence[Loaded]) -> Extensions:
    """Combine the extensions. Raises `ExtensionError`."""
    try:
        return Extensions([one.enabled for one in loaded])
    except (DuplicateTag, DuplicateRoomKind, InvalidDeclaration) as error:
        raise ExtensionError("", str(error)) from None


def _origin_of(spec: str) -> str:
    if ":" in spec:
        return spec
    origins = {point.value for point in available() if point.name == spec}
    if len(origins) == 1:
        return origins.pop()
    if origins:
        raise ExtensionError(spec, f"is installed more than once; write one of {', '.join(sorted(origins))}")
    installed = ", ".join(dict.fromkeys(point.name for point in available())) or "none"
    raise ExtensionError(spec, f"is not installed; write module:thing, or one of those that are: {installed}")


def _import(spec: str, origin: str) -> Extension:
    module, _, thing = origin.partition(":")
    try:
        found = getattr(importlib.import_module(module), thing)
    except Exception as error:
        # A foreign module may raise anything.
        problem = f"cannot be imported from {origin}: {type(error).__name__}: {error}{_hint(module, error)}"
        raise ExtensionError(spec, problem) from error
    if not isinstance(found, Extension):
        raise ExtensionError(spec, f"is no Extension: {origin} is a {type(found).__name__}")
    return found


def _hint(module: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
        return f"; run the command in the folder of {error.name}, or install its package"
    if isinstance(error, TypeError) and "Unexpected keyword argument" in str(error):
        return "; is it made for a newer chat-actors?"
    return ""


def _with_settings(spec: str, extension: Extension, section: Mapping[str, Any]) -> Enabled:
    try:
        return Enabled(extension, convert_section(extension.name, extension.settings, section))
    except SettingsError as error:
        raise ExtensionError(spec, f"cannot use its settings: {error}") from None
    except msgspec.ValidationError as error:
        raise ExtensionError(spec, f"cannot use its settings [extensions.{extension.name}]: {error}") from None
