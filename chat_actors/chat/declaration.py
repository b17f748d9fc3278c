"""The declaration of an extension, and the error that a wrong one raises."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.service import Service
from chat_actors.protocol import ExtensionMessage

API_VERSION = 1
"""The version of the interface for extensions. It rises when names or hooks are added that an extension may need."""


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an extension without settings."""


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """Declares what a package adds to the server. Everything in it is checked when the server starts.

    Attributes:
        name: The extension's name, also of its settings section: lower-case letters, digits and `_`.
        api: The version of this interface that the extension needs, `API_VERSION` at most. The default is 1.
        services: The classes of its services and bots.
        room_kinds: The classes of its room kinds.
        messages: The classes of the messages that it sends without a request. Those that answer a command are declared
            by the annotation of the command's method.
        settings: The struct of its settings section `[extensions.NAME]`. Each field needs a default.
    """

    name: str
    api: int = 1
    services: Sequence[type[Service]] = ()
    room_kinds: Sequence[type[RoomKind]] = ()
    messages: Sequence[type[ExtensionMessage]] = ()
    settings: type[msgspec.Struct] = NoSettings


class InvalidDeclaration(Exception):
    """An extension is declared wrongly.

    Attributes:
        extension: The name of the extension.
        subject: The class, method or argument.
        problem: What is wrong, and what to write.
    """

    def __init__(self, extension: str, subject: str, problem: str) -> None:
        self.extension = extension
        self.subject = subject
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.subject} of the extension {self.extension!r}: {self.problem}"
