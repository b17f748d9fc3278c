"""The commands that a server accepts: the built-in ones and those of its extensions.

Theory of operation. A frame is decoded by one `msgspec` decoder over the union of all commands. That fast path accepts
exactly the valid frames. A frame that it refuses is decoded a second time without types, to find the first rule that it
breaks (a JSON object, a known `type`, the required fields, the optional fields) and its `id`. It also accepts null for
a missing field and 2.0 for 2. The second path therefore costs only clients that send such frames. For any bytes,
`decode` returns a command or raises `ProtocolError`. A vocabulary never changes after it has been made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args

import msgspec

from chat_actors.protocol import refusals
from chat_actors.protocol.commands import (
    CLIENT_MSG_ID_CHARS,
    REQUEST_ID_CHARS,
    AnyCommand,
    Authenticate,
    BaseCommand,
    Command,
    ExtensionCommand,
    Join,
    Leave,
    ListMembers,
    Post,
    ReadHistory,
    Register,
    SwitchRoom,
)
from chat_actors.protocol.declared import BUILT_IN, CommandSpec, MessageSpec, commands_by_tag, messages_by_tag
from chat_actors.protocol.refusals import ProtocolError, Refusal
from chat_actors.protocol.states import RULES, SessionState

_MISSING: dict[type[BaseCommand], Refusal] = {
    Register: refusals.REGISTER_FIELDS,
    Authenticate: refusals.AUTHENTICATE_FIELDS,
    Join: refusals.JOIN_FIELDS,
    Post: refusals.CONTENT_REQUIRED,
    SwitchRoom: refusals.SWITCH_ROOM_FIELDS,
}

_JOIN_OPTIONS = frozenset({"id", "since", "additional"})
"""The fields of a `join` that part 1 does not have."""


class _Id(msgspec.Struct):
    id: str | None = None


_any_decoder = msgspec.json.Decoder()
_id_decoder = msgspec.json.Decoder(_Id)
_encoder = msgspec.json.Encoder()


class Vocabulary:
    """Decodes commands, and looks up in which states they are allowed."""

    def __init__(self, added: Sequence[CommandSpec] = (), messages: Sequence[MessageSpec] = ()) -> None:
        """Raises `DuplicateTag`."""
        specs = commands_by_tag(added)
        self._by_name: dict[str, type[BaseCommand]] = {
            **{str(command.__struct_config__.tag): command for command in get_args(Command)},
            **{tag: spec.command for tag, spec in specs.items()},
        }
        self.owners = {**dict.fromkeys(self._by_name, BUILT_IN), **{tag: spec.owner for tag, spec in specs.items()}}
        """`type` of a command → the extension that adds it, or `BUILT_IN`."""
        rules: dict[type[BaseCommand], Mapping[SessionState, Refusal | None]] = {
            spec.command: spec.rules for spec in added
        }
        self.rules = {**RULES, **rules}
        """Command → state → the refusal, or None if the command is allowed without naming a room."""
        self.answers = {spec.command: spec.answers for spec in added}
        """Command of an extension → the messages that answer it, or None if they are not declared."""
        self.messages = messages_by_tag(messages)
        """`type` → a message that an extension sends."""
        everything: Any = Union[tuple(self._by_name.values())]  # noqa: UP007 - made of values
        self._decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(everything)

    @property
    def names(self) -> Sequence[str]:
        """The `type` of every command."""
        return list(self._by_name)

    @property
    def commands(self) -> Sequence[type[BaseCommand]]:
        """The class of every command."""
        return list(self._by_name.values())

    def refusal(self, state: SessionState, command: BaseCommand) -> Refusal | None:
        """The refusal of this command in this state, or None if it is allowed. A command may name its room."""
        refusal = self.rules[type(command)][state]
        if refusal is None:
            return None
        lacks_room = refusal is refusals.NOT_IN_ROOM or refusal is refusals.NO_CURRENT_ROOM
        return None if lacks_room and _names_room(command) else refusal

    def request_id(self, data: str) -> str | None:
        """The `id` of a frame that is not decoded otherwise, if it has a valid one."""
        try:
            request_id = _id_decoder.decode(data).id
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None
        return request_id if _is_request_id(request_id) else None

    def decode(self, data: str | bytes) -> AnyCommand:
        """The command in a text frame. Raises `ProtocolError`, and no other exception.

        Checked in order: a JSON object, a known type, the required fields, the optional fields. A required field of the
        wrong JSON type counts as missing. If an object names a field twice, the last one counts, as in JavaScript; also
        for `type`.
        """
        try:
            command = self._decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return self._decode_slowly(data)
        _check_lengths(command)
        return command

    def _decode_slowly(self, data: str | bytes) -> AnyCommand:
        try:
            found: Any = _any_decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise ProtocolError(refusals.INVALID_JSON) from None
        if not isinstance(found, dict):
            raise ProtocolError(refusals.INVALID_JSON)
        request_id = found["id"] if _is_request_id(found.get("id")) else None
        name = found.get("type", msgspec.UNSET)
        command: Any = self._by_name.get(name) if isinstance(name, str) else None
        if command is None:
            raise ProtocolError(refusals.unknown_type(_print_type(name)), request_id)
        invalid = _take_invalid(found, command)
        try:
            converted: AnyCommand = msgspec.convert(found, command)
        except msgspec.ValidationError:
            raise ProtocolError(_MISSING.get(command) or _missing_fields(command), request_id) from None
        _check_required(converted, request_id)
        if invalid:
            raise ProtocolError(refusals.invalid_field(invalid[0]), request_id, command)
        _check_lengths(converted)
        return converted


def _check_lengths(command: AnyCommand) -> None:
    request_id = command.request_id
    if request_id is not None and len(request_id) > REQUEST_ID_CHARS:
        _check_required(command, None)
        raise ProtocolError(refusals.REQUEST_ID_TOO_LONG, None, type(command))
    _check_required(command, request_id)
    if isinstance(command, Post):
        if command.client_msg_id is not None and not 1 <= len(command.client_msg_id) <= CLIENT_MSG_ID_CHARS:
            raise ProtocolError(refusals.INVALID_CLIENT_MSG_ID, request_id, Post)
    elif isinstance(command, Join) and command.room_id == "" and not _is_of_part_one(command):
        raise ProtocolError(refusals.INVALID_ROOM_ID, request_id, Join)


def _check_required(command: AnyCommand, request_id: str | None) -> None:
    """An empty text counts as missing."""
    if isinstance(command, Post):
        if not command.content:
            raise ProtocolError(refusals.CONTENT_REQUIRED, request_id)
    elif isinstance(command, SwitchRoom) and not command.room_id:
        raise ProtocolError(refusals.SWITCH_ROOM_FIELDS, request_id)


def _is_of_part_one(join: Join) -> bool:
    return join.request_id is None and join.since is None and join.additional is None


def _take_invalid(found: dict[str, Any], command: type[BaseCommand]) -> Sequence[str]:
    """Remove the optional fields that are null or not valid, and return the latter. Turns 2.0 into 2."""
    invalid: list[str] = []
    for field in msgspec.structs.fields(command):
        name = field.encode_name
        value = found.get(name)
        if isinstance(value, float) and value.is_integer() and not _is_of_type(value, field.type):
            found[name] = value = int(value)
        if field.required:
            continue
        if value is None:
            found.pop(name, None)
        elif not _is_of_type(value, field.type):
            del found[name]
            invalid.append(name)
    if invalid == ["roomId"] and command is Join and not found.keys() & _JOIN_OPTIONS:
        return ()  # part 1: a field of a wrong type counts as missing
    return invalid


def _names_room(command: BaseCommand) -> bool:
    match command:
        case ExtensionCommand():
            return command.named_room is not None
        case Post(room_id=str()) | Leave(room_id=str()) | ListMembers(room_id=str()) | ReadHistory(room_id=str()):
            return True
        case _:
            return False


def _missing_fields(command: type[BaseCommand]) -> Refusal:
    required = [field.encode_name for field in msgspec.structs.fields(command) if field.required]
    return refusals.missing_fields(str(command.__struct_config__.tag), required)


def _is_request_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= REQUEST_ID_CHARS


def _is_of_type(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True


def _print_type(name: Any) -> str:
    """An unknown `type` as JavaScript would print it."""
    if name is msgspec.UNSET:
        return "undefined"
    return name if isinstance(name, str) else _encoder.encode(name).decode()


decode_command = Vocabulary().decode
"""`Vocabulary.decode` for a server without extensions."""
