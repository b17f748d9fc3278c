"""Checks the declaration of an extension when the server starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from chat_actors.chat.bot import Bot
from chat_actors.chat.class_checks import check_class, check_room_kind, check_service
from chat_actors.chat.command_method import Methods
from chat_actors.chat.declaration import API_VERSION, Extension, InvalidDeclaration
from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.service import Service
from chat_actors.kernel import BadHandler
from chat_actors.protocol import ExtensionMessage, MessageSpec, NotOnTheWire, check_wire_struct

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LISTS: Mapping[str, type[Any]] = {"services": Service, "room_kinds": RoomKind, "messages": ExtensionMessage}


def check_declaration(extension: Extension) -> None:
    """Raises `InvalidDeclaration`."""
    _check_values(extension)
    with_checks: Sequence[tuple[Sequence[type[Any]], Callable[[Any], None]]] = (
        (extension.services, check_service),
        (extension.room_kinds, check_room_kind),
        (extension.messages, check_wire_struct),
    )
    for listed, check in with_checks:
        for item in listed:
            checked(extension.name, check, item)
    _check_names(extension)


def checked(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that checks a part of the extension `name`. Raises `InvalidDeclaration`."""
    try:
        return function(*arguments)
    except BadHandler as error:
        raise InvalidDeclaration(name, error.handler, error.problem) from None
    except NotOnTheWire as error:
        raise InvalidDeclaration(name, error.subject, error.problem) from None


def _check_values(extension: Extension) -> None:
    name, api, settings = extension.name, extension.api, extension.settings
    values: dict[str, Any] = {"name": name, "api": api, "settings": settings}
    if not isinstance(values["name"], str) or not _NAME.fullmatch(name):
        raise InvalidDeclaration(str(name), "the name", 'write lower-case letters, digits and single _: name="party"')
    if not isinstance(values["api"], int) or api < 1:
        raise InvalidDeclaration(name, "api", f"write the version that it needs: api={API_VERSION}")
    if api > API_VERSION:
        problem = f"it needs version {api}, and this server has version {API_VERSION}: install a newer chat-actors"
        raise InvalidDeclaration(name, "api", problem)
    if not isinstance(values["settings"], type) or not issubclass(settings, msgspec.Struct):
        raise InvalidDeclaration(name, "settings", "write the class of a msgspec.Struct, without ()")
    for listed_as, base in _LISTS.items():
        listed: Any = getattr(extension, listed_as)
        if not isinstance(listed, list | tuple):
            raise InvalidDeclaration(name, listed_as, f"write a list: {listed_as}=[...]")
        for item in listed:
            checked(name, check_class, item, base, listed_as)


def _check_names(extension: Extension) -> None:
    classes: list[type[Service] | type[RoomKind]] = [*extension.services, *extension.room_kinds]
    stores = [cls.kept_as or cls.__name__ for cls in classes]
    for names in ([service.__name__ for service in extension.services], stores):
        for name in names:
            if names.count(name) > 1:
                problem = "there are two of this name, which would share a store: rename one, or set its kept_as"
                raise InvalidDeclaration(extension.name, name, problem)


class BotNames:
    """The names of the bots of all extensions."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def add(self, extension: str, service: type[Service]) -> None:
        """Raises `InvalidDeclaration` if another bot has the name."""
        if not issubclass(service, Bot):
            return
        other = self._owners.setdefault(service.name, f"{service.__qualname__} of the extension {extension!r}")
        if other != f"{service.__qualname__} of the extension {extension!r}":
            problem = f"{other} has this name too: give one of the bots another name"
            raise InvalidDeclaration(extension, f"{service.__qualname__}.name = {service.name!r}", problem)


def messages_of(extension: Extension, owner: str, methods: Methods) -> Sequence[MessageSpec]:
    """The messages that answer these commands. Raises `InvalidDeclaration` if a command or message is not valid."""
    found = []
    for method in methods.values():
        checked(extension.name, check_wire_struct, method.command)
        for answer in method.answers or ():
            checked(extension.name, check_wire_struct, answer)
            found.append(MessageSpec(owner, answer))
    return found
