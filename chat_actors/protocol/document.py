"""The protocol as an AsyncAPI 3.0 document, generated from the structs, the table of states and the errors.

Specification: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from chat_actors.protocol import commands, messages, refusals
from chat_actors.protocol.close_codes import CloseCode
from chat_actors.protocol.commands import BaseCommand, Command, ExtensionCommand
from chat_actors.protocol.messages import ServerMessage
from chat_actors.protocol.refusals import Refusal
from chat_actors.protocol.states import SessionState
from chat_actors.protocol.vocabulary import BUILT_IN, Vocabulary

ANSWERS: Mapping[type[BaseCommand], Sequence[type[msgspec.Struct]]] = {
    commands.Hello: (messages.Welcome,),
    commands.GetChallenge: (messages.Challenge,),
    commands.Register: (messages.Registered,),
    commands.Authenticate: (messages.Authenticated,),
    commands.Join: (messages.Joined,),
    commands.Post: (messages.Accepted,),
    commands.SwitchRoom: (messages.Joined,),
    commands.Leave: (messages.Left,),
    commands.ListMembers: (messages.MemberList,),
    commands.ReadHistory: (messages.History,),
    commands.Ping: (messages.Pong,),
}
"""The answers to a command that succeeds. A command that fails is answered with `error`."""

ANSWERED_IF = {commands.Post: "clientMsgId"}
"""Commands whose success is answered only if they have this field."""

UNASKED = (messages.UserJoined, messages.UserLeft, messages.ChatMessage)
"""Messages that members of a room receive without a request."""

_FIXED_TEXTS = {
    messages.Registered: messages.registered("alice").message,
    messages.Authenticated: messages.authenticated("alice").message,
    messages.Joined: messages.joined("alice", "lobby").message,
    messages.UserJoined: messages.user_joined("alice", "lobby").message,
    messages.UserLeft: messages.user_left("alice", "lobby").message,
    messages.Error: refusals.NOT_IN_ROOM.text,
}

_ABOUT = (
    "The WebSocket is at `/ws`, or at `/`. One text frame carries one JSON object with a `type`. Unknown fields are "
    "ignored. Any command may carry an `id`; its answer or its error carries the same. Without a request, a client "
    "receives only the messages of its rooms.\n\n"
    "To log in: send `get_challenge`, sign the 32 bytes that the base64 text of the `challenge` encodes, and send "
    "`authenticate`. If the server answers with the code `user_not_registered`, send `register` and begin again, since "
    "a challenge is valid for one attempt. Once `authenticated`, a client may `join` a room and send a `chat_message` "
    "there.\n\n"
    "A connection has at most one current room, which a plain `join` or a `switch_room` changes. It may join others "
    "besides with `additional`. A command without a `roomId` is about the current room.\n\n"
    "After a close with 1012, reconnect after the milliseconds in its reason: `retry after <ms>`. To miss nothing, "
    "send the last `seq` received as `since` when you `join` again."
)

_CHAT = "#/channels/chat"


def protocol_document(vocabulary: Vocabulary, version: str) -> dict[str, Any]:
    """The commands, those of extensions included, and the messages, as JSON values. `version` is the server's."""
    sent = {_name_of(command): command for command in vocabulary.commands}
    received = {_name_of(message): message for message in get_args(ServerMessage)}
    built_in = {_name_of(command) for command in get_args(Command)}
    schemas = _schemas([*sent.values(), *received.values()])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "chat_actors",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "chat": {
                "address": "/ws",
                "description": "A WebSocket; `/` is the same.",
                "bindings": {"ws": {"method": "GET"}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*sent, *received)},
            }
        },
        "operations": {
            **{name: _receive(command, vocabulary, name in built_in) for name, command in sent.items()},
            **{_name_of(message): _send(message) for message in UNASKED},
        },
        "components": {
            "messages": {name: _message(struct, schemas) for name, struct in (*sent.items(), *received.items())},
            "schemas": schemas,
        },
        "x-errors": [{"code": one.code, "message": one.text} for one in known_errors()],
        "x-close-codes": [{"code": code.value, "meaning": meaning} for code, meaning in _close_codes()],
    }


def known_errors() -> Sequence[Refusal]:
    """The fixed errors of the protocol, in the order of its table."""
    return [value for value in vars(refusals).values() if isinstance(value, Refusal)]


def _name_of(struct: type[msgspec.Struct]) -> str:
    # Not the `type`: `chat_message` is both a command and a message. The class name of an extension's command need not
    # be unique, but its `type` is.
    return f"extension.{struct.__struct_config__.tag}" if issubclass(struct, ExtensionCommand) else struct.__name__


def _receive(command: type[BaseCommand], vocabulary: Vocabulary, is_built_in: bool) -> dict[str, Any]:
    """A command, as the server receives it."""
    name = _name_of(command)
    operation: dict[str, Any] = {
        "action": "receive",
        "channel": {"$ref": _CHAT},
        "summary": _summary(command),
        "messages": [{"$ref": f"{_CHAT}/messages/{name}"}],
        "x-states": {state.name.lower(): _allowed(vocabulary.rules[command][state]) for state in SessionState},
    }
    if is_built_in:
        answers: Sequence[type[msgspec.Struct]] = (*ANSWERS[command], messages.Error)
        operation["reply"] = {
            "channel": {"$ref": _CHAT},
            "messages": [{"$ref": f"{_CHAT}/messages/{_name_of(answer)}"} for answer in answers],
        }
    if command in ANSWERED_IF:
        operation["x-answered-if"] = ANSWERED_IF[command]
    if (owner := vocabulary.owners[str(command.__struct_config__.tag)]) != BUILT_IN:
        operation["x-owner"] = owner
    return operation


def _send(message: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": _CHAT},
        "summary": _summary(message),
        "messages": [{"$ref": f"{_CHAT}/messages/{_name_of(message)}"}],
    }


def _allowed(refusal: Refusal | None) -> Any:
    return True if refusal is None else {"code": refusal.code, "message": refusal.text}


def _message(struct: type[msgspec.Struct], schemas: Mapping[str, Any]) -> dict[str, Any]:
    example = _example({"$ref": _name_of(struct)}, schemas)
    if struct in _FIXED_TEXTS:
        example["message"] = _FIXED_TEXTS[struct]
    return {
        "name": str(struct.__struct_config__.tag),
        "summary": _summary(struct),
        "payload": {"$ref": f"#/components/schemas/{_name_of(struct)}"},
        "examples": [{"payload": example}],
    }


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    match schema:
        case {"$ref": reference}:
            return _example(schemas[reference.rpartition("/")[2]], schemas)
        case {"type": "object", "properties": properties}:
            required = schema.get("required", ())
            shown = {name: field for name, field in properties.items() if name != "id" or name in required}
            return {name: _example(field, schemas) for name, field in shown.items()}
        case {"enum": [first, *_]}:
            return first
        case {"examples": [first, *_]}:
            return first
        case {"anyOf": [first, *_]}:
            return _example(first, schemas)
        case {"type": "array", "items": items}:
            return [_example(items, schemas)]
        case {"type": "array"}:
            return []
        case {"type": "object"}:
            return {}
        case {"type": "integer" | "number", "exclusiveMinimum": low}:
            return low + 1
        case {"type": "integer" | "number"}:
            return schema.get("minimum", 0)
        case {"type": "boolean"}:
            return True
        case _:
            return "…"


def _schemas(structs: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for struct in structs:
        own, prefix = _name_of(struct), f"{_name_of(struct)}." if issubclass(struct, ExtensionCommand) else ""
        _, found = msgspec.json.schema_components([struct], ref_template=f"#/components/schemas/{prefix}{{name}}")
        schemas |= {own if name == struct.__name__ else prefix + name: schema for name, schema in found.items()}
    for schema in schemas.values():
        schema.pop("title", None)
        schema.pop("description", None)  # it is the message's summary
        for name, field in schema.get("properties", {}).items():
            schema["properties"][name] = _without_null(field)
    return schemas


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """The schema without null. Clients leave optional fields out; that null means the same is not documented."""
    options = [one for one in field.get("anyOf", []) if one != {"type": "null"}]
    if field.get("default", ...) is None and len(options) == 1:
        return dict(options[0])
    return {key: value for key, value in field.items() if not (key == "default" and value is None)}


def _summary(struct: type[msgspec.Struct]) -> str:
    text = " ".join((inspect.getdoc(struct) or "").split())
    for field in msgspec.structs.fields(struct):
        text = text.replace(f"`{field.name}`", f"`{field.encode_name}`")
    return text


def _close_codes() -> Sequence[tuple[CloseCode, str]]:
    meanings = {
        CloseCode.NORMAL: "the client asked for it",
        CloseCode.PROTOCOL_ERROR: "a malformed frame",
        CloseCode.UNSUPPORTED_DATA: "a binary frame: commands are JSON in text frames",
        CloseCode.INVALID_DATA: "a text frame that is not UTF-8",
        CloseCode.POLICY_VIOLATION: "a rule was broken; the reason says which",
        CloseCode.TOO_BIG: "a message that is too long",
        CloseCode.INTERNAL_ERROR: "the server failed in this session; reconnect",
        CloseCode.SERVICE_RESTART: "the server is stopping; the reason, `retry after <ms>`, says when to reconnect",
        CloseCode.TRY_AGAIN_LATER: "over capacity",
        CloseCode.NOT_AUTHENTICATED: "not authenticated in time",
        CloseCode.ORIGIN_REFUSED: "origin not allowed (as HTTP 403, before the upgrade)",
        CloseCode.TOO_SLOW: "the client did not read and its backlog overflowed; reconnect and catch up",
    }
    return [(code, meanings[code]) for code in CloseCode]
