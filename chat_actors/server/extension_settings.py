"""The settings of an extension: from the file as TOML values, from the environment and from `--set` as text."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from chat_actors.server.settings import WrittenText
from chat_actors.server.settings_sources import SettingsError, describe_error

_SECRET = re.compile(r"secret|token|password|passphrase|key", re.IGNORECASE)


def convert_section(name: str, struct: type[msgspec.Struct], section: Mapping[str, Any]) -> msgspec.Struct:
    """The settings of the extension `name`. Raises `SettingsError` for a text, `ValidationError` for a TOML value."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    values: dict[str, Any] = {}
    for written, value in section.items():
        key = _key_of(written, fields, is_text=isinstance(value, WrittenText))
        if key is None:
            source = value.source if isinstance(value, WrittenText) else ""
            raise SettingsError(source, f"extensions.{name}.{written}", _unknown(name, written, list(fields)))
        if isinstance(value, WrittenText):
            value = _value_of(value, f"extensions.{name}.{key}", fields[key].type)
        values[key] = value
    return msgspec.convert(values, struct)


def _key_of(written: str, fields: Mapping[str, Any], *, is_text: bool) -> str | None:
    if written in fields or not is_text:
        return written if written in fields else None
    # The environment has no lower case.
    return next((key for key in fields if key.lower() == written), None)


def _unknown(name: str, written: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(written, known, 1)
    if near:
        return f"is not a setting, did you mean extensions.{name}.{near[0]}?"
    return f"is not a setting; the extension has {', '.join(known) or 'none'}"


def _value_of(written: WrittenText, key: str, value_type: Any) -> Any:
    """The value of a text, as TOML would have it: JSON if it begins with a bracket, or a list with commas."""
    text: str = written.text
    raw: Any = text
    try:
        if not _may_be_text(value_type):
            if text.lstrip()[:1] in ("[", "{"):
                raw = msgspec.json.decode(text)
            elif _is_list(value_type):
                raw = [part.strip() for part in text.split(",") if part.strip()]
        return msgspec.to_builtins(msgspec.convert(raw, value_type, strict=isinstance(raw, dict)))
    except msgspec.ValidationError as error:
        raise SettingsError(written.source, key, f"{describe_error(error, value_type)}, not {text!r}") from None
    except msgspec.DecodeError as error:
        raise SettingsError(written.source, key, f"is not valid JSON: {error}") from None


def _options(value_type: Any) -> Sequence[Any]:
    if get_origin(value_type) is Annotated:
        return _options(get_args(value_type)[0])
    if get_origin(value_type) in (Union, types.UnionType):
        return [one for option in get_args(value_type) for one in _options(option)]
    return [value_type]


def _may_be_text(value_type: Any) -> bool:
    return any(one is str for one in _options(value_type))


def _is_list(value_type: Any) -> bool:
    lists = (list, tuple, set, frozenset, Sequence)
    return any(one in lists or get_origin(one) in lists for one in _options(value_type))


def settings_rows(name: str, settings: msgspec.Struct) -> Sequence[tuple[str, str]]:
    """Key and value of each setting of an extension. The values of secrets are hidden."""
    fields = msgspec.structs.fields(settings)
    values = [(field.encode_name, msgspec.to_builtins(getattr(settings, field.name))) for field in fields]
    return [(f"extensions.{name}.{key}", msgspec.json.encode(_hidden(key, value)).decode()) for key, value in values]


def _hidden(key: str, value: Any) -> Any:
    match value:
        case dict():
            is_secret = _SECRET.search(key) is not None
            return {name: "..." if is_secret else _hidden(str(name), inner) for name, inner in value.items()}
        case list() | tuple():
            return [_hidden(key, inner) for inner in value]
        case str() if value and _SECRET.search(key):
            return "..."
        case _:
            return value
