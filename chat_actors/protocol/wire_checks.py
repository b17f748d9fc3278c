"""Checks that a command or message of an extension has a form on the wire: camelCase names, JSON types, its own tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class NotOnTheWire(Exception):
    """A class cannot be sent as it is declared. `subject` is the class or its field, `problem` says what to write."""

    def __init__(self, subject: str, problem: str) -> None:
        self.subject = subject
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}"


def check_wire_struct(struct: type[msgspec.Struct]) -> None:
    """Raises `NotOnTheWire` if the tag, a field name or a type of a command or message is not valid on the wire."""
    tag = struct.__struct_config__.tag
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise NotOnTheWire(struct.__qualname__, f"the tag {tag!r} must be a word of letters, digits and _")
    try:
        root = inspect.type_info(struct)
    except Exception as error:  # msgspec raises many types here, also those of an annotation that cannot be resolved
        raise NotOnTheWire(struct.__qualname__, f"its fields have no form in JSON: {error}") from None
    seen: set[Any] = set()
    for found in _types_in(root, seen):
        _check_type(struct, found)
    msgspec.json.Decoder(struct)


def _check_type(struct: type[msgspec.Struct], found: Any) -> None:
    match found:
        case inspect.StructType(cls=cls, array_like=False, fields=fields):
            for field in fields:
                if field.name == field.encode_name and "_" in field.name.strip("_"):
                    remedy = f'class {cls.__name__}(msgspec.Struct, rename="camel")'
                    problem = f"it is sent as {field.name}, but names on the wire are camelCase: write {remedy}"
                    raise NotOnTheWire(f"{cls.__qualname__}.{field.name}", problem)
        case inspect.DataclassType(cls=cls, fields=fields) | inspect.TypedDictType(cls=cls, fields=fields):
            for field in fields:
                if "_" in field.name.strip("_"):
                    remedy = f'write a msgspec.Struct with rename="camel" instead of {cls.__name__}'
                    problem = f"it is sent as {field.name}, but names on the wire are camelCase: {remedy}"
                    raise NotOnTheWire(f"{cls.__qualname__}.{field.name}", problem)
        case inspect.CustomType(cls=cls) if cls is not object:
            problem = f"the type {cls.__name__} of a field has no form in JSON: write a msgspec.Struct"
            raise NotOnTheWire(struct.__qualname__, problem)
        case _:
            pass


def _types_in(found: Any, seen: set[Any]) -> Iterator[Any]:
    """A type of msgspec's inspection, and all types inside it."""
    if isinstance(found, inspect.StructType | inspect.DataclassType | inspect.TypedDictType | inspect.NamedTupleType):
        if found.cls in seen:
            return
        seen.add(found.cls)
        yield found
        for field in found.fields:
            yield from _types_in(field.type, seen)
        return
    yield found
    for name in getattr(found, "__struct_fields__", ()):
        value = getattr(found, name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, inspect.Type):
                yield from _types_in(inner, seen)
