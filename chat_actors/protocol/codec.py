"""Text of a frame to command or message, and back."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from chat_actors.protocol import refusals
from chat_actors.protocol.commands import (
    CLIENT_MSG_ID_CHARS,
    REQUEST_ID_CHARS,
    Authenticate,
    Command,
    Join,
    Post,
    Register,
    SwitchRoom,
)
from chat_actors.protocol.messages import ServerMessage
from chat_actors.protocol.refusals import ProtocolError, Refusal

_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_message_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_any_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()

_COMMANDS: dict[str, type[Command]] = {command.__struct_config__.tag: command for command in get_args(Command)}
_MISSING: dict[type[Command], Refusal] = {
    Register: refusals.REGISTER_FIELDS,
    Authenticate: refusals.AUTHENTICATE_FIELDS,
    Join: refusals.JOIN_FIELDS,
    Post: refusals.CONTENT_REQUIRED,
    SwitchRoom: refusals.SWITCH_ROOM_FIELDS,
}


class UnknownMessage(Exception):
    """The server sent a type of message that this version does not know; a client skips it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"an unknown message from the server: {self.text[:80]!r}"


def decode_command(data: str | bytes) -> Command:
    """The command in a text frame. Raises `ProtocolError`, and nothing else, for whatever is none.

    One pass for what is right; only what is wrong is looked at a second time, to find out which error it is. Checked in
    order: a JSON object, a known type, the required fields. A field of the wrong JSON type counts as missing. JSON that
    names a field twice is taken as JavaScript takes it: the last one counts, of `type` as of all others; nobody else
    reads these frames, so no two readers can disagree.
    """
    try:
        command = _command_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        command = _decode_slowly(data)
    if command.request_id is not None and len(command.request_id) > REQUEST_ID_CHARS:
        raise ProtocolError(refusals.REQUEST_ID_TOO_LONG)
    if isinstance(command, Post):
        if not command.content:
            raise ProtocolError(refusals.CONTENT_REQUIRED, command.request_id)
        if command.client_msg_id is not None and not 1 <= len(command.client_msg_id) <= CLIENT_MSG_ID_CHARS:
            raise ProtocolError(refusals.INVALID_CLIENT_MSG_ID, command.request_id)
    elif isinstance(command, SwitchRoom) and not command.room_id:
        raise ProtocolError(refusals.SWITCH_ROOM_FIELDS, command.request_id)
    return command


def _decode_slowly(data: str | bytes) -> Command:
    try:
        found: Any = _any_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ProtocolError(refusals.INVALID_JSON) from None
    if not isinstance(found, dict):
        raise ProtocolError(refusals.INVALID_JSON)
    request_id = found.get("id")
    if not isinstance(request_id, str) or len(request_id) > REQUEST_ID_CHARS:
        request_id = None
    kind = found.get("type", msgspec.UNSET)
    command = _COMMANDS.get(kind) if isinstance(kind, str) else None
    if command is None:
        raise ProtocolError(refusals.unknown_type(_shown(kind)), request_id)
    for field in msgspec.structs.fields(command):
        if not field.required and not _is_of_type(found.get(field.encode_name), field.type):
            found.pop(field.encode_name, None)
    try:
        return msgspec.convert(found, command)
    except msgspec.ValidationError:
        raise ProtocolError(_MISSING[command], request_id) from None


def _is_of_type(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True


def _shown(kind: Any) -> str:
    """A type that is none, as a JavaScript client would expect to read it."""
    if kind is msgspec.UNSET:
        return "undefined"
    return kind if isinstance(kind, str) else _encoder.encode(kind).decode()


def encode(message: ServerMessage) -> bytes:
    """The payload of the frame for a message of the server: JSON in UTF-8."""
    return _encoder.encode(message)


def encode_command(command: Command) -> str:
    """The text of the frame for a client's command."""
    return _encoder.encode(command).decode()


def decode_message(data: str | bytes) -> ServerMessage:
    """For clients: the message in a frame from the server. Raises `UnknownMessage`; unknown fields are ignored."""
    try:
        return _message_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise UnknownMessage(str(data)) from None
