"""What an extension adds to a chat, and what all of them add together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.service import CommandMethod, Rate, Scope, Service, commands_of
from chat_actors.kernel import Kind
from chat_actors.protocol import Added, ExtensionCommand, Vocabulary


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of an extension that has none."""


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """What a package adds. `name` is that of its section in the settings: a word of letters, digits and `_`."""

    name: str
    services: Sequence[type[Service]] = ()
    room_kinds: Sequence[type[RoomKind]] = ()

    settings: type[msgspec.Struct] = NoSettings
    """The struct of its section `[extensions.NAME]`; each field needs a default."""


class Enabled(msgspec.Struct, frozen=True):
    """An extension that is switched on, with its settings."""

    extension: Extension
    settings: Any = NoSettings()


class Offered(msgspec.Struct, frozen=True):
    """A service's class, the kind under which its actors are found, and what they get."""

    kind: Kind[Any]
    service: type[Service]
    settings: Any
    methods: Mapping[type[ExtensionCommand], CommandMethod]


class Route(msgspec.Struct, frozen=True):
    """To which actor a command goes."""

    kind: Kind[Any]
    scope: Scope
    rate: Rate | None


class RoomKinds:
    """Which rooms are of which kind, by their names."""

    def __init__(self, kinds: Sequence[tuple[type[RoomKind], Any]] = ()) -> None:
        """Kinds with their settings; of several that match, the first counts."""
        self._kinds = kinds

    def maker(self, room_id: str) -> Callable[[], RoomKind] | None:
        """What makes the kind of a room; None for an ordinary one."""
        for kind, settings in self._kinds:
            if kind.matches(room_id):
                return partial(_make_kind, kind, settings)
        return None


def _make_kind(kind: type[RoomKind], settings: Any) -> RoomKind:
    made = kind()
    made.settings = settings
    return made


class Extensions:
    """All that are switched on: what clients may say, and who carries it out."""

    def __init__(self, enabled: Sequence[Enabled] = ()) -> None:
        """Raises `NameClaimedTwice`, and `BadHandler` for a service that is of no use."""
        self.offered: list[Offered] = []
        self.routes: dict[type[ExtensionCommand], Route] = {}
        added: list[Added] = []
        for one in enabled:
            for service in one.extension.services:
                kind: Kind[Any] = Kind(f"{one.extension.name}.{service.__qualname__}")
                methods = commands_of(service)
                self.offered.append(Offered(kind, service, one.settings, methods))
                for method in methods.values():
                    added.append(Added(f"the extension {one.extension.name!r}", method.command, method.where.rules))
                    self.routes[method.command] = Route(kind, service.scope, method.rate)
        self.vocabulary = Vocabulary(added)
        self.kinds = RoomKinds([(kind, one.settings) for one in enabled for kind in one.extension.room_kinds])
