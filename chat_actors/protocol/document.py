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
from chat_actors.protocol.commands import BaseCommand, ExtensionCommand
from chat_actors.protocol.declared import BUILT_IN
from chat_actors.protocol.messages import ExtensionMessage, ServerMessage
from chat_actors.protocol.refusals import Refusal
from chat_actors.protocol.states import SessionState
from chat_actors.protocol.vocabulary import Vocabulary

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
    """The commands and messages, those of extensions included, as JSON values. `version` is the server's."""
    sent = {_name_of(command): command for command in vocabulary.commands}
    added = {_name_of(spec.message): spec for spec in vocabulary.messages.values()}
    received: dict[str, type[msgspec.Struct]] = {_name_of(message): message for message in get_args(ServerMessage)}
    received |= {name: spec.message for name, spec in added.items()}
    owners = {name: vocabulary.owners[str(command.__struct_config__.tag)] for name, command in sent.items()}
    owners |= {name: spec.owner for name, spec in added.items()}
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
            **{name: _receive(command, vocabulary) for name, command in sent.items()},
            **{_name_of(message): _send(message) for message in UNASKED},
            **{name: _send(spec.message, spec.owner) for name, spec in added.items() if spec.is_unasked},
        },
        "components": {
            "messages": {
                name: _message(struct, schemas, owners.get(name, BUILT_IN))
                for name, struct in (*sent.items(), *received.items())
            },
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
    if issubclass(struct, ExtensionMessage):
        return f"extension_message.{struct.__struct_config__.tag}"
    return f"extension.{struct.__struct_config__.tag}" if issubclass(struct, ExtensionCommand) else struct.__name__


def _receive(command: type[BaseCommand], vocabulary: Vocabulary) -> dict[str, Any]:
    """A command, as the server receives it."""
    name = _name_of(command)
    operation: dict[str, Any] = {
        "action": "receive",
        "channel": {"$ref": _CHAT},
        "summary": _summary(command),
        "messages": [{"$ref": f"{_CHAT}/messages/{name}"}],
        "x-states": {state.name.lower(): _allowed(vocabulary.rules[command][state]) for state in SessionState},
    }
    answers: Sequence[type[msgspec.Struct]] | None
    answers = vocabulary.answers[command] if issubclass(command, ExtensionCommand) else ANSWERS[command]
    if answers is not None:
        answers = (*answers, messages.Error)
        operation["reply"] = {
            "channel": {"$ref": _CHAT},
            "messages": [{"$ref": f"{_CHAT}/messages/{_name_of(answer)}"} for answer in answers],
        }
    if command in ANSWERED_IF:
        operation["x-answered-if"] = ANSWERED_IF[command]
    if (owner := vocabulary.owners[str(command.__struct_config__.tag)]) != BUILT_IN:
        operation["x-owner"] = owner
    return operation


def _send(message: type[msgspec.Struct], owner: str = BUILT_IN) -> dict[str, Any]:
    """A message that the server sends without a request."""
    operation = {
        "action": "send",
        "channel": {"$ref": _CHAT},
        "summary": _summary(message),
        "messages": [{"$ref": f"{_CHAT}/messages/{_name_of(message)}"}],
    }
    return operation if owner == BUILT_IN else {**operation, "x-owner": owner}


def _allowed(refusal: Refusal | None) -> Any:
    return True if refusal is None else {"code": refusal.code, "message": refusal.text}


def _message(struct: type[msgspec.Struct], schemas: Mapping[str, Any], owner: str) -> dict[str, Any]:
    example = _example({"$ref": _name_of(struct)}, schemas)
    if struct in _FIXED_TEXTS:
        example["message"] = _FIXED_TEXTS[struct]
    message = {
        "name": str(struct.__struct_config__.tag),
        "summary": _summary(struct),
        "payload": {"$ref": f"#/components/schemas/{_name_of(struct)}"},
        "examples": [{"payload": example}],
    }
    return message if owner == BUILT_IN else {**message, "x-owner": owner}


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
        own, is_added = _name_of(struct), issubclass(struct, ExtensionCommand | ExtensionMessage)
        prefix = f"{own}." if is_added else ""
        _, found = msgspec.json.schema_components([struct], ref_template=f"#/components/schemas/{prefix}{{name}}")
        for name, schema in found.items():
            _simplify(schema, has_nulls=issubclass(struct, ExtensionMessage))
            schemas[own if name == struct.__name__ else prefix + name] = schema
        if issubclass(struct, ExtensionMessage):
            schemas[own]["required"] = ["type", *_always_sent(struct)]
    return schemas


def _simplify(schema: dict[str, Any], *, has_nulls: bool) -> None:
    schema.pop("title", None)
    schema.pop("description", None)  # it is the message's summary
    for name, field in schema.get("properties", {}).items():
        if name == "id" and "anyOf" in field:
            schema["properties"][name] = _without_null({**field, "default": None})
        elif not has_nulls:
            schema["properties"][name] = _without_null(field)


def _always_sent(message: type[ExtensionMessage]) -> Sequence[str]:
    """The fields of an extension's message that are in each: those with a default too."""
    return [field.encode_name for field in msgspec.structs.fields(message) if field.default is not msgspec.UNSET]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """The schema without null. Clients leave optional fields out; that null means the same is not documented."""
    options = [one for one in field.get("anyOf", []) if one != {"type": "null"}]
    if field.get("default", ...) is None and len(options) == 1:
        return dict(options[0])
    return {key: value for key, value in field.items() if not (key == "default" and value is None)}


def _summary(struct: type[msgspec.Struct]) -> str:
    text = " ".join(inspect.cleandoc(vars(struct).get("__doc__") or "").split())
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
