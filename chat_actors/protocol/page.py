"""Renders the protocol document as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_STATES = {
    "connected": "before the login",
    "authenticated": "outside of rooms",
    "no_current_room": "in additional rooms only, without a `roomId`",
    "in_room": "in a room",
}


def protocol_page(document: Mapping[str, Any]) -> str:
    """Each message with its fields, the states in which it is allowed, its answers, and an example."""
    operations, found = document["operations"], document["components"]["messages"]
    commands = [name for name, operation in operations.items() if operation["action"] == "receive"]
    messages = [name for name in found if name not in commands]
    lines = [
        "# Messages",
        "",
        "All messages, generated from the server's definitions by `chat-actors protocol --markdown`. For programs",
        "there is an [AsyncAPI](https://www.asyncapi.com) 3 document with JSON Schemas: `chat-actors protocol` prints",
        "it, and each server has it at `/protocol.json`, with the commands and messages of its extensions.",
        "[Protocol](protocol.md) explains how the messages work together.",
        "",
        document["info"]["description"],
        "",
        "## Commands of the client",
        "",
        *_entries(document, commands, None),
        "## Messages of the server",
        "",
        *_entries(document, messages, None),
    ]
    for owner in dict.fromkeys(message["x-owner"] for message in found.values() if "x-owner" in message):
        lines += [f"## Commands of {owner}".replace("'", "`"), "", *_entries(document, commands, owner)]
        lines += [f"## Messages of {owner}".replace("'", "`"), "", *_entries(document, messages, owner)]
    return "\n".join(lines).rstrip() + "\n"


def _entries(document: Mapping[str, Any], names: Sequence[str], owner: str | None) -> Iterator[str]:
    found = document["components"]["messages"]
    types = {name: message["name"] for name, message in found.items()}
    for name in names:
        if found[name].get("x-owner") == owner:
            yield from _entry(document, name)
            operation = document["operations"].get(name, {})
            if operation.get("action") == "receive":
                yield from _rules(operation, types)


def _entry(document: Mapping[str, Any], name: str) -> Iterator[str]:
    message = document["components"]["messages"][name]
    schema = document["components"]["schemas"][name]
    yield f"### `{message['name']}`"
    yield ""
    operation = document["operations"].get(name, {})
    unasked = "Sent also without a request." if "x-owner" in message and operation.get("action") == "send" else ""
    if message["summary"] or unasked:
        yield f"{message['summary']} {unasked}".strip()
        yield ""
    fields = {field: type_ for field, type_ in schema["properties"].items() if field not in ("type", "id")}
    if fields:
        yield "| field | | |"
        yield "| --- | --- | --- |"
        for field, type_ in fields.items():
            is_optional = field not in schema.get("required", ())
            yield f"| `{field}` | {_shown(type_)}{', optional' if is_optional else ''} | {_meaning(type_)} |"
        yield ""
    yield "```json"
    yield msgspec.json.encode(message["examples"][0]["payload"]).decode()
    yield "```"
    yield ""


def _rules(operation: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    refused = [
        f"`{allowed['code']}` {_STATES[state]}"
        for state, allowed in operation["x-states"].items()
        if allowed is not True
    ]
    answers = [
        names[reference["$ref"].rpartition("/")[2]] for reference in operation.get("reply", {}).get("messages", ())
    ]
    sentences = []
    if answers == ["error"]:
        sentences.append("Answered only if it fails, with `error`.")
    elif answers:
        condition = f" if it has a `{field}`," if (field := operation.get("x-answered-if")) else ""
        sentences.append(f"Answered with {f'{condition} or '.join(f'`{answer}`' for answer in answers)}.")
    if refused:
        sentences.append(f"Refused with {', '.join(refused)}.")
    if sentences:
        yield " ".join(sentences)
        yield ""


def _shown(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"anyOf": options}:
            return " or ".join(_shown(option) for option in options)
        case {"$ref": reference}:
            return str(reference).rpartition("/")[2].rpartition(".")[2]
        case {"type": "array", "items": items}:
            return f"list of {_shown(items)}"
        case {"type": type_name, "minimum": low, "maximum": high}:
            return f"{type_name}, {low} to {high}"
        case {"type": type_name}:
            return str(type_name)
        case _:
            return "anything"


def _meaning(schema: Mapping[str, Any]) -> str:
    options = [schema, *schema.get("anyOf", ())]
    return next((str(one["description"]) for one in options if "description" in one), "")
