"""The commands and messages that extensions declare, and the check that each has a `type` of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec

from chat_actors.protocol.commands import Command, ExtensionCommand
from chat_actors.protocol.messages import ExtensionMessage, ServerMessage
from chat_actors.protocol.refusals import Refusal
from chat_actors.protocol.states import SessionState

BUILT_IN = "the server"


class CommandSpec(msgspec.Struct, frozen=True):
    """A command that an extension adds, and its refusal in each session state (None: allowed)."""

    owner: str
    command: type[ExtensionCommand]
    rules: Mapping[SessionState, Refusal | None]
    answers: Sequence[type[ExtensionMessage]] | None = None
    """The messages that answer it; None if they are not declared."""


class MessageSpec(msgspec.Struct, frozen=True):
    """A message that an extension sends. `is_unasked`: also without a request."""

    owner: str
    message: type[ExtensionMessage]
    is_unasked: bool = False


class DuplicateTag(Exception):
    """Two extensions, or one and the server, have a command or a message of the same `type`."""

    def __init__(
        self, what: str, name: str, first: str, second: str, classes: Sequence[type[msgspec.Struct]] = ()
    ) -> None:
        """`what` is "command" or "message"; `first` and `second` are the owners, `classes` those of extensions."""
        self.what = what
        self.name = name
        self.first = first
        self.second = second
        self.classes = classes

    def __str__(self) -> str:
        claim = f"the {self.what} {self.name!r} is claimed"
        names = " and ".join(one.__qualname__ for one in self.classes)
        if self.first == self.second:
            return f"{claim} twice by {self.first}: give one of {names} another tag"
        remedy = f"give {names} another tag" if BUILT_IN in (self.first, self.second) else "switch one of them off"
        return f"{claim} by {self.first} and by {self.second} ({names}): {remedy}"


def _tags(*structs: type[msgspec.Struct]) -> Mapping[str, type[msgspec.Struct]]:
    return {str(struct.__struct_config__.tag): struct for struct in structs}


_CORE_COMMANDS, _CORE_MESSAGES = _tags(*get_args(Command)), _tags(*get_args(ServerMessage))


def commands_by_tag(added: Sequence[CommandSpec]) -> Mapping[str, CommandSpec]:
    """The commands of extensions by `type`. Raises `DuplicateTag`."""
    found: dict[str, CommandSpec] = {}
    for spec in added:
        tag = str(spec.command.__struct_config__.tag)
        if tag in _CORE_COMMANDS or tag in _CORE_MESSAGES:
            raise DuplicateTag("command", tag, BUILT_IN, spec.owner, [spec.command])
        if tag in found:
            classes = [found[tag].command, spec.command]
            raise DuplicateTag("command", tag, found[tag].owner, spec.owner, classes)
        found[tag] = spec
    return found


def messages_by_tag(added: Sequence[MessageSpec]) -> Mapping[str, MessageSpec]:
    """The messages of extensions by `type`. One class may be declared several times. Raises `DuplicateTag`."""
    found: dict[str, MessageSpec] = {}
    for spec in added:
        tag = str(spec.message.__struct_config__.tag)
        known = found.get(tag)
        if tag in _CORE_COMMANDS or tag in _CORE_MESSAGES:
            raise DuplicateTag("message", tag, BUILT_IN, spec.owner, [spec.message])
        if known is None:
            found[tag] = spec
        elif known.message is not spec.message:
            raise DuplicateTag("message", tag, known.owner, spec.owner, [known.message, spec.message])
        elif spec.is_unasked and not known.is_unasked:
            found[tag] = msgspec.structs.replace(known, is_unasked=True)
    return found
