"""The commands that a server accepts: the built-in ones and those of its extensions.

Theory of operation. A frame is decoded by one `msgspec` decoder over the union of all commands. That fast path accepts
exactly the valid frames. A frame that it refuses is decoded a second time without types, to find the first rule that it
breaks (a JSON object, a known `type`, the required fields) and its `id`, or to drop optional fields of a wrong type,
which count as missing. The second path therefore costs only clients that send such frames. For any bytes,
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
    Post,
    Register,
    SwitchRoom,
)
from chat_actors.protocol.refusals import ProtocolError, Refusal
from chat_actors.protocol.states import RULES, SessionState

BUILT_IN = "the server"

_MISSING: dict[type[BaseCommand], Refusal] = {
    Register: refusals.REGISTER_FIELDS,
    Authenticate: refusals.AUTHENTICATE_FIELDS,
    Join: refusals.JOIN_FIELDS,
    Post: refusals.CONTENT_REQUIRED,
    SwitchRoom: refusals.SWITCH_ROOM_FIELDS,
}

_any_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class CommandSpec(msgspec.Struct, frozen=True):
    """A command that an extension adds, and its refusal in each session state (None: allowed)."""

    owner: str
    command: type[ExtensionCommand]
    rules: Mapping[SessionState, Refusal | None]


class DuplicateCommand(Exception):
    """Two extensions, or one and the server, have a command of the same name."""

    def __init__(self, name: str, first: str, second: str) -> None:
        self.name = name
        self.first = first
        self.second = second

    def __str__(self) -> str:
        return f"the command {self.name!r} is claimed by {self.first} and by {self.second}; switch one of them off"


class Vocabulary:
    """Decodes commands, and looks up in which states they are allowed."""

    def __init__(self, added: Sequence[CommandSpec] = ()) -> None:
        """Raises `DuplicateCommand`."""
        self._by_name: dict[str, type[BaseCommand]] = {}
        self.owners: dict[str, str] = {}
        """`type` of a command → the extension that adds it, or `BUILT_IN`."""
        for owner, command in [*((BUILT_IN, c) for c in get_args(Command)), *((a.owner, a.command) for a in added)]:
            name = str(command.__struct_config__.tag)
            if name in self.owners:
                raise DuplicateCommand(name, self.owners[name], owner)
            self.owners[name], self._by_name[name] = owner, command
        rules: dict[type[BaseCommand], Mapping[SessionState, Refusal | None]] = {
            one.command: one.rules for one in added
        }
        self._rules = {**RULES, **rules}
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

    def refusal(self, state: SessionState, command: type[BaseCommand]) -> Refusal | None:
        """The refusal of this command in this state, or None if it is allowed."""
        return self._rules[command][state]

    def decode(self, data: str | bytes) -> AnyCommand:
        """The command in a text frame. Raises `ProtocolError`, and no other exception.

        Checked in order: a JSON object, a known type, the required fields. A field of the wrong JSON type counts as
        missing. If an object names a field twice, the last one counts, as in JavaScript; also for `type`.
        """
        try:
            command = self._decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            command = self._decode_slowly(data)
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

    def _decode_slowly(self, data: str | bytes) -> AnyCommand:
        try:
            found: Any = _any_decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise ProtocolError(refusals.INVALID_JSON) from None
        if not isinstance(found, dict):
            raise ProtocolError(refusals.INVALID_JSON)
        request_id = found.get("id")
        if not isinstance(request_id, str) or len(request_id) > REQUEST_ID_CHARS:
            request_id = None
        name = found.get("type", msgspec.UNSET)
        command: Any = self._by_name.get(name) if isinstance(name, str) else None
        if command is None:
            raise ProtocolError(refusals.unknown_type(_print_type(name)), request_id)
        for field in msgspec.structs.fields(command):
            if not field.required and not _is_of_type(found.get(field.encode_name), field.type):
                found.pop(field.encode_name, None)
        try:
            converted: AnyCommand = msgspec.convert(found, command)
        except msgspec.ValidationError:
            raise ProtocolError(_MISSING.get(command) or _missing_fields(command), request_id) from None
        return converted


def _missing_fields(command: type[BaseCommand]) -> Refusal:
    required = [field.encode_name for field in msgspec.structs.fields(command) if field.required]
    return refusals.missing_fields(str(command.__struct_config__.tag), required)


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
