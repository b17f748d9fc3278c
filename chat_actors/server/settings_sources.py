"""Load the settings from defaults, a TOML file, the environment and flags. Later sources override earlier ones."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from chat_actors.server.settings import SECTIONS, Settings, WrittenText, problem_between, problem_with

EXTENSIONS = "extensions"
SET = "--set"
PREFIX = "CHAT_ACTORS_"
CONFIG_VARIABLE = "CHAT_ACTORS_CONFIG"
"""The environment variable with the path of the TOML file, for plain `hypercorn`, which has no `--config` flag."""


class SettingsError(Exception):
    """A setting is invalid. `source` says which file, variable or flag set it."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        self.source = source
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.problem) if part)


class LoadedSettings(msgspec.Struct, frozen=True):
    """The effective settings, and the source of each value by `section.key`."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(
    config: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    assignments: Sequence[str] = (),
) -> LoadedSettings:
    """Load the settings from all sources. `flags` has values by `section.key`; None means that the flag was not given.

    `assignments` are those of `--set`: `section.key=value`. Raises `SettingsError`, whose text is one line.
    """
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    values: dict[str, Any] = {}
    extensions = _extension_sections(config)
    origins = dict.fromkeys(_all_keys(), "default")
    origins |= {f"{EXTENSIONS}.{name}.{key}": str(config) for name, fields in extensions.items() for key in fields}
    written = (*_from_environment(environ), *_from_flags(flags), *_from_assignments(assignments))
    for source, key, raw, is_text in (*_from_file(config), *written):
        if key.partition(".")[0] == EXTENSIONS:
            _add_text(extensions, source, key, raw)
        else:
            values[key] = _convert(source, key, raw, is_text=is_text)
        origins[key] = source
    sections: dict[str, Any] = {name: {} for name in SECTIONS}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections[section][name] = value
    settings = msgspec.structs.replace(msgspec.convert(sections, Settings), extensions=extensions)
    if (problem := problem_between(settings)) is not None:
        raise SettingsError("settings", "", problem)
    return LoadedSettings(settings, origins)


def _add_text(extensions: dict[str, dict[str, Any]], source: str, key: str, text: str) -> None:
    _, _, rest = key.partition(".")
    name, _, field = rest.partition(".")
    if not name or not field:
        raise SettingsError(source, key, f"names no setting of an extension: write {EXTENSIONS}.NAME.KEY")
    extensions.setdefault(name, {})[field] = WrittenText(source, text)


def describe(loaded: LoadedSettings, extensions: Sequence[tuple[str, str]] = ()) -> str:
    """One line for each setting: key, effective value, source. `extensions`: key and value of those of extensions."""
    values = [
        (f"{section}.{name}", msgspec.json.encode(value).decode())
        for section in SECTIONS
        for name, value in msgspec.structs.asdict(getattr(loaded.settings, section)).items()
    ]
    origins = {key.lower(): origin for key, origin in loaded.origins.items()}  # the environment has no lower case
    rows = [(key, value, origins.get(key.lower(), "default")) for key, value in (*values, *extensions)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in rows)


def _all_keys() -> list[str]:
    return [f"{section}.{name}" for section, struct in SECTIONS.items() for name in struct.__struct_fields__]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(str(path), "", f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), "", f"is not valid TOML: {error}") from None


def _extension_sections(path: Path | None) -> dict[str, dict[str, Any]]:
    """The sections of the extensions, not validated: each extension has its own schema."""
    sections = {} if path is None else _read(path).get(EXTENSIONS, {})
    if not isinstance(sections, dict) or not all(isinstance(fields, dict) for fields in sections.values()):
        raise SettingsError(str(path), EXTENSIONS, "has settings outside a section: write [extensions.NAME] above them")
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
            key = name.replace("__", ".", 1) if section == EXTENSIONS else name
            yield variable, f"{section}.{key}", text, True


def _from_flags(flags: Mapping[str, object]) -> Iterator[tuple[str, str, Any, bool]]:
    for key, value in flags.items():
        if value is not None:
            yield f"--{key.partition('.')[2].replace('_', '-')}", key, value, isinstance(value, str)


def _from_assignments(assignments: Sequence[str]) -> Iterator[tuple[str, str, Any, bool]]:
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or "." not in key:
            raise SettingsError(SET, assignment, "write SECTION.KEY=VALUE, as in limits.connections=100")
        yield SET, key.strip(), text, True


def _convert(source: str, key: str, raw: Any, *, is_text: bool) -> Any:
    section, _, name = key.partition(".")
    if section not in SECTIONS or name not in SECTIONS[section].__struct_fields__:
        near = difflib.get_close_matches(key, _all_keys(), 1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise SettingsError(source, key, f"is not a setting{hint}")
    value_type = get_type_hints(SECTIONS[section])[name]
    if is_text and value_type == tuple[str, ...]:
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    try:
        value = msgspec.convert(raw, value_type, strict=not is_text)
    except msgspec.ValidationError as error:
        raise SettingsError(source, key, f"{describe_error(error, value_type)}, not {raw!r}") from None
    if (problem := problem_with(key, value)) is not None:
        raise SettingsError(source, key, f"{problem}, not {raw!r}")
    return value


_PLAIN_TYPES = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "`array`": "a list",
    "`bool`": "true or false",
}


def describe_error(error: msgspec.ValidationError, value_type: Any) -> str:
    """What a value of the wrong type must be, as "must ..."."""
    text = str(error)
    if text.startswith("Expected "):
        expected, _, _ = text.removeprefix("Expected ").partition(",")
        return f"must be {_PLAIN_TYPES.get(expected, expected)}"
    if get_origin(value_type) is Literal:
        return f"must be one of {', '.join(get_args(value_type))}"
    return f"is not valid ({text})"
