"""Where settings come from: defaults, a TOML file, the environment, flags. The later wins."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from chat_actors.server.settings import SECTIONS, Settings, problem_between, problem_with

EXTENSIONS = "extensions"
PREFIX = "CHAT_ACTORS_"
CONFIG_VARIABLE = "CHAT_ACTORS_CONFIG"
"""Names the TOML file where no flag can: under plain `hypercorn`."""


class SettingsError(Exception):
    """A setting that cannot be used: where it was given, which, and what is wrong with it."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        self.source = source
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.problem) if part)


class Loaded(msgspec.Struct, frozen=True):
    """The settings in force, and for each `section.key` where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(config: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """The settings from all sources. `flags` are by `section.key`; those that are None were not given.

    Raises `SettingsError`, whose text is one line.
    """
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    values: dict[str, Any] = {}
    origins = dict.fromkeys(_known(), "default")
    for source, key, raw, is_text in (*_from_file(config), *_from_environment(environ), *_from_flags(flags)):
        values[key] = _converted(source, key, raw, is_text=is_text)
        origins[key] = source
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections[section][name] = value
    settings = msgspec.convert({**sections, "extensions": _extension_sections(config)}, Settings)
    if (problem := problem_between(settings)) is not None:
        raise SettingsError("settings", "", problem)
    return Loaded(settings, origins)


def describe(loaded: Loaded) -> str:
    """What is in force and where each value came from, a line each."""
    rows = [
        (f"{section}.{name}", msgspec.json.encode(value).decode(), loaded.origins[f"{section}.{name}"])
        for section in SECTIONS
        for name, value in msgspec.structs.asdict(getattr(loaded.settings, section)).items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in rows)


def _known() -> list[str]:
    return [f"{section}.{name}" for section, struct in SECTIONS.items() for name in struct.__struct_fields__]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(str(path), "", f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), "", f"is not valid TOML: {error}") from None


def _extension_sections(path: Path | None) -> dict[str, dict[str, Any]]:
    """As they were written: only the extensions know what they may be."""
    sections = {} if path is None else _read(path).get(EXTENSIONS, {})
    if not isinstance(sections, dict) or not all(isinstance(fields, dict) for fields in sections.values()):
        raise SettingsError(str(path), EXTENSIONS, "holds no settings itself: write [extensions.NAME] above them")
    return sections


def _from_file(path: Path | None) -> Iterator[tuple[str, str, Any, bool]]:
    if path is None:
        return
    for section, fields in _read(path).items():
        if section == EXTENSIONS:
            continue
        if not isinstance(fields, dict):
            raise SettingsError(str(path), section, "is no section: write [server], [data] or [limits] above it")
        for name, value in fields.items():
            yield str(path), f"{section}.{name}", value, False


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str, Any, bool]]:
    for variable, text in sorted(environ.items()):
        if variable.startswith(PREFIX) and variable != CONFIG_VARIABLE:
            section, _, name = variable.removeprefix(PREFIX).lower().partition("__")
            yield variable, f"{section}.{name}", text, True


def _from_flags(flags: Mapping[str, object]) -> Iterator[tuple[str, str, Any, bool]]:
    for key, value in flags.items():
        if value is not None:
            yield f"--{key.partition('.')[2].replace('_', '-')}", key, value, isinstance(value, str)


def _converted(source: str, key: str, raw: Any, *, is_text: bool) -> Any:
    section, _, name = key.partition(".")
    if section not in SECTIONS or name not in SECTIONS[section].__struct_fields__:
        near = difflib.get_close_matches(key, _known(), 1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise SettingsError(source, key, f"is not a setting{hint}")
    kind = get_type_hints(SECTIONS[section])[name]
    if is_text and kind == tuple[str, ...]:
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    try:
        value = msgspec.convert(raw, kind, strict=not is_text)
    except msgspec.ValidationError as error:
        raise SettingsError(source, key, f"{_plain(error)}, not {raw!r}") from None
    if (problem := problem_with(key, value)) is not None:
        raise SettingsError(source, key, f"{problem}, not {raw!r}")
    return value


_PLAIN_TYPES = {"`int`": "a whole number", "`float`": "a number", "`str`": "a text", "`array`": "a list"}


def _plain(error: msgspec.ValidationError) -> str:
    text = str(error)
    if text.startswith("Expected "):
        expected, _, _ = text.removeprefix("Expected ").partition(",")
        return f"must be {_PLAIN_TYPES.get(expected, expected)}"
    return "must be one of the values that it may have"
