"""The protocol document as a page for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_STATES = {
    "connected": "before the login",
    "authenticated": "outside of rooms",
    "in_room": "in a room",
}


def protocol_page(document: Mapping[str, Any]) -> str:
    """Every message with its fields, where it may be sent, what answers it, and an example."""
    operations = document["operations"]
    said = [name for name, operation in operations.items() if operation["action"] == "receive"]
    heard = [name for name in document["components"]["messages"] if name not in said]
    names = {name: message["name"] for name, message in document["components"]["messages"].items()}
    lines = [
        "# Messages",
        "",
        "Every message, made from the server's own definitions by `chat-actors protocol --markdown`. For programs",
        "there is an [AsyncAPI](https://www.asyncapi.com) 3 document with JSON Schemas: `chat-actors protocol` prints",
        "it, and a server answers with it at `/protocol.json`, the commands of its extensions included. What the",
        "messages mean together is in [Protocol](protocol.md).",
        "",
        document["info"]["description"],
        "",
        "## What a client says",
        "",
    ]
    for name in said:
        lines += _entry(document, name)
        lines += _where(operations[name], names)
    lines += ["## What a client hears", ""]
    for name in heard:
        lines += _entry(document, name)
    return "\n".join(lines).rstrip() + "\n"


def _entry(document: Mapping[str, Any], name: str) -> Iterator[str]:
    message = document["components"]["messages"][name]
    schema = document["components"]["schemas"][name]
    yield f"### `{message['name']}`"
    yield ""
    owner = document["operations"].get(name, {}).get("x-owner")
    yield message["summary"] + (f" (Of {owner}.)" if owner else "")
    yield ""
    fields = {field: type_ for field, type_ in schema["properties"].items() if field not in ("type", "id")}
    if fields:
        yield "| field | | |"
        yield "| --- | --- | --- |"
        for field, type_ in fields.items():
            is_optional = field not in schema["required"]
            yield f"| `{field}` | {_shown(type_)}{', optional' if is_optional else ''} | {_meaning(type_)} |"
        yield ""
    yield "```json"
    yield msgspec.json.encode(message["examples"][0]["payload"]).decode()
    yield "```"
    yield ""


def _where(operation: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    refused = [
        f"`{allowed['code']}` {_STATES[state]}"
        for state, allowed in operation["x-states"].items()
        if allowed is not True
    ]
    answers = [
        names[reference["$ref"].rpartition("/")[2]] for reference in operation.get("reply", {}).get("messages", ())
    ]
    told = []
    if answers:
        condition = f" if it has a `{field}`," if (field := operation.get("x-answered-if")) else ""
        told.append(f"Answered with {f'{condition} or '.join(f'`{answer}`' for answer in answers)}.")
    if refused:
        told.append(f"Refused with {', '.join(refused)}.")
    if told:
        yield " ".join(told)
        yield ""


def _shown(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"anyOf": options}:
            return " or ".join(_shown(option) for option in options)
        case {"$ref": reference}:
            return str(reference).rpartition("/")[2]
        case {"type": "array", "items": items}:
            return f"list of {_shown(items)}"
        case {"type": kind, "minimum": low, "maximum": high}:
            return f"{kind}, {low} to {high}"
        case {"type": kind}:
            return str(kind)
        case _:
            return "anything"


def _meaning(schema: Mapping[str, Any]) -> str:
    options = [schema, *schema.get("anyOf", ())]
    return next((str(one["description"]) for one in options if "description" in one), "")
