"""What an extension adds to a chat, and what all of them add together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chat_actors.chat.bot import Bot
from chat_actors.chat.command_method import Methods, Rate
from chat_actors.chat.endpoint import Endpoints, endpoints_of
from chat_actors.chat.room_creation import RoomCreation
from chat_actors.chat.room_kind import RoomKind, methods_of_kind
from chat_actors.chat.room_kinds import OfferedKind, RoomKinds
from chat_actors.chat.service import Provided, Scope, Service, methods_of
from chat_actors.chat.store import Store
from chat_actors.kernel import BadHandler, Kind
from chat_actors.protocol import BUILT_IN, Added, ExtensionCommand, Vocabulary, bot_id
from chat_actors.storage import Accounts, States


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of an extension that has none."""


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """What a package adds. `name` is that of its section in the settings: a word of letters, digits and `_`.

    `services` includes its bots: they are services too.
    """

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
    """A service's class, the kind under which its actors are found, and what they are given."""

    extension: str
    service: type[Service]
    settings: Any
    kinds: Mapping[type[Any], Kind[Any]]
    methods: Methods
    endpoints: Endpoints

    @property
    def kind(self) -> Kind[Any]:
        return self.kinds[self.service]

    def maker(self, states: States, accounts: Accounts, now: Callable[[], datetime], key: str) -> Callable[[], Service]:
        """What makes the actor of a key, for each of its lives."""
        space = f"{self.extension}.{self.service.kept_as or self.service.__name__}/{key}"
        store = Store(states, space)
        provided = Provided(key, self.settings, store, self.kinds, now, accounts, self.methods, self.endpoints)
        outliving = self.service.make_outliving()

        def make() -> Service:
            service = self.service()
            service.provided = provided
            service.outliving = outliving
            return service

        return make


class Route(msgspec.Struct, frozen=True):
    """To which actor a command goes: a service, or the room that its sender is in (`kind` is None)."""

    kind: Kind[Any] | None
    scope: Scope
    rate: Rate | None


class Extensions:
    """All that are switched on: what clients may say, and who carries it out."""

    def __init__(self, enabled: Sequence[Enabled] = ()) -> None:
        """Raises `NameClaimedTwice`, `KindChosenTwice`, and `BadHandler` for a class that is of no use."""
        self.offered: list[Offered] = []
        self.routes: dict[type[ExtensionCommand], Route] = {}
        self.endpoints: dict[tuple[str, str], Kind[Any]] = {}
        """HTTP method and path below `/extensions` → who answers."""
        added: list[Added] = []
        offered_kinds: list[OfferedKind] = []
        for one in enabled:
            name, owner = one.extension.name, f"the extension {one.extension.name!r}"
            _check_names(one.extension)
            kinds = {service: Kind[Any](f"{name}.{service.__name__}") for service in one.extension.services}
            for service in one.extension.services:
                self._offer(Offered(name, service, one.settings, kinds, methods_of(service), _endpoints(name, service)))
                added += self._route(owner, methods_of(service), kinds[service], service.scope)
            for kind in one.extension.room_kinds:
                methods = methods_of_kind(kind)
                offered_kinds.append(OfferedKind(name, kind, one.settings, methods, kinds))
                added += self._route(owner, methods, None, Scope.ROOM)
        self.kinds = RoomKinds(offered_kinds)
        if self.kinds.choosable:
            added += self._offer_room_creation()
        self.vocabulary = Vocabulary(added)

    def _offer(self, offered: Offered) -> None:
        service = offered.service
        if issubclass(service, Bot):
            try:
                bot_id(service.name)
            except ValueError as error:
                raise BadHandler(service.__qualname__, str(error)) from None
        if offered.endpoints and service.scope is not Scope.SERVER:
            raise BadHandler(service.__qualname__, "only a service of which there is one for the server has endpoints")
        self.offered.append(offered)
        for method, path in offered.endpoints:
            self.endpoints[method, path] = offered.kind

    def _route(self, owner: str, methods: Methods, kind: Kind[Any] | None, scope: Scope) -> Sequence[Added]:
        for method in methods.values():
            self.routes[method.command] = Route(kind, scope, method.rate)
        return [Added(owner, method.command, method.where.rules) for method in methods.values()]

    def _offer_room_creation(self) -> Sequence[Added]:
        kinds = {RoomCreation: Kind[Any]("create_room")}
        methods = methods_of(RoomCreation)
        self.offered.append(Offered(BUILT_IN, RoomCreation, list(self.kinds.choosable), kinds, methods, {}))
        return self._route(BUILT_IN, methods, kinds[RoomCreation], Scope.SERVER)


def _check_names(extension: Extension) -> None:
    classes: list[type[Service] | type[RoomKind]] = [*extension.services, *extension.room_kinds]
    for names in ([one.__name__ for one in extension.services], [one.kept_as or one.__name__ for one in classes]):
        for name in names:
            if names.count(name) > 1:
                why = f"the extension {extension.name!r} has two of this name, which would share a store"
                raise BadHandler(name, f"{why}; rename one, or set its kept_as")


def _endpoints(extension: str, service: type[Service]) -> Endpoints:
    """By their paths below `/extensions`."""
    return {(method, f"/{extension}{path}"): answer for (method, path), answer in endpoints_of(service).items()}
