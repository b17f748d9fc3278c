"""Extensions: what one package adds, and the combined commands and endpoints of all enabled ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chat_actors.chat.bot import Bot
from chat_actors.chat.command_method import Methods, Rate, Where
from chat_actors.chat.endpoint import Endpoints, endpoints_of
from chat_actors.chat.room_creation import RoomCreation
from chat_actors.chat.room_kind import RoomKind, methods_of_kind
from chat_actors.chat.room_kinds import RoomKinds, RoomKindSpec
from chat_actors.chat.service import Scope, Service, ServiceDependencies, ServiceState, methods_of
from chat_actors.chat.store import Store
from chat_actors.kernel import ActorType, BadHandler
from chat_actors.protocol import BUILT_IN, CommandSpec, ExtensionCommand, Vocabulary, bot_id, has_own_room_id
from chat_actors.storage import Accounts, States


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an extension without settings."""


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """Declares what a package adds to the server.

    Attributes:
        name: The extension's name, also of its settings section: letters, digits and `_`.
        services: The classes of its services and bots.
        room_kinds: The classes of its room kinds.
        settings: The struct of its settings section `[extensions.NAME]`. Each field needs a default.
    """

    name: str
    services: Sequence[type[Service]] = ()
    room_kinds: Sequence[type[RoomKind]] = ()
    settings: type[msgspec.Struct] = NoSettings


class Enabled(msgspec.Struct, frozen=True):
    """An enabled extension, with its settings."""

    extension: Extension
    settings: Any = NoSettings()


class ServiceSpec(msgspec.Struct, frozen=True):
    """A service's class, with its actor type and the dependencies of its actors."""

    extension: str
    service: type[Service]
    settings: Any
    actor_types: Mapping[type[Any], ActorType[Any]]
    methods: Methods
    endpoints: Endpoints

    @property
    def actor_type(self) -> ActorType[Any]:
        return self.actor_types[self.service]

    def maker(
        self,
        states: States,
        accounts: Accounts,
        now: Callable[[], datetime],
        service_state: ServiceState,
        key: str,
    ) -> Callable[[], Service]:
        """Return the function that makes each incarnation of the actor with this key."""
        space = f"{self.extension}.{self.service.kept_as or self.service.__name__}/{key}"
        store = Store(states, space)
        dependencies = ServiceDependencies(
            key, self.settings, store, self.actor_types, now, accounts, self.methods, self.endpoints
        )

        def make() -> Service:
            service = self.service()
            service.dependencies = dependencies
            service.service_state = service_state
            return service

        return make


class Route(msgspec.Struct, frozen=True):
    """The actor that executes a command: a service, or the caller's room if `actor_type` is None."""

    actor_type: ActorType[Any] | None
    scope: Scope
    rate: Rate | None


class Extensions:
    """All enabled extensions: their services and room kinds, and the routes of their commands and endpoints."""

    def __init__(self, enabled: Sequence[Enabled] = ()) -> None:
        """Raises `DuplicateCommand`, `DuplicateRoomKind`, or `BadHandler` for an invalid class."""
        self.names = sorted(item.extension.name for item in enabled)
        self.services: list[ServiceSpec] = []
        self.routes: dict[type[ExtensionCommand], Route] = {}
        self.endpoints: dict[tuple[str, str], ActorType[Any]] = {}
        """The service that answers, by HTTP method and path below `/extensions`."""
        added: list[CommandSpec] = []
        room_kinds: list[RoomKindSpec] = []
        for item in enabled:
            extension, settings = item.extension, item.settings
            name, owner = extension.name, f"the extension {extension.name!r}"
            _check_names(extension)
            actor_types = {service: ActorType[Any](f"{name}.{service.__name__}") for service in extension.services}
            for service in extension.services:
                methods, endpoints = methods_of(service), _endpoints(name, service)
                self._add_service(ServiceSpec(name, service, settings, actor_types, methods, endpoints))
                added += self._route(owner, methods, actor_types[service], service.scope)
            for kind in extension.room_kinds:
                methods = methods_of_kind(kind)
                room_kinds.append(RoomKindSpec(name, kind, settings, methods, actor_types))
                added += self._route(owner, methods, None, Scope.ROOM)
        self.room_kinds = RoomKinds(room_kinds)
        if self.room_kinds.choosable:
            added += self._add_room_creation()
        self.vocabulary = Vocabulary(added)

    def _add_service(self, spec: ServiceSpec) -> None:
        service = spec.service
        if issubclass(service, Bot):
            try:
                bot_id(service.name)
            except ValueError as error:
                raise BadHandler(service.__qualname__, str(error)) from None
        if spec.endpoints and service.scope is not Scope.SERVER:
            raise BadHandler(service.__qualname__, "only a service with Scope.SERVER can have endpoints")
        self.services.append(spec)
        for method, path in spec.endpoints:
            self.endpoints[method, path] = spec.actor_type

    def _route(
        self, owner: str, methods: Methods, actor_type: ActorType[Any] | None, scope: Scope
    ) -> Sequence[CommandSpec]:
        for method in methods.values():
            if method.where is Where.IN_ROOM and has_own_room_id(method.command):
                problem = "its field room_id is the room that the server looks up; rename it, or set where"
                raise BadHandler(method.call.__qualname__, problem)
            self.routes[method.command] = Route(actor_type, scope, method.rate)
        return [CommandSpec(owner, method.command, method.where.rules) for method in methods.values()]

    def _add_room_creation(self) -> Sequence[CommandSpec]:
        actor_types = {RoomCreation: ActorType[Any]("create_room")}
        methods, words = methods_of(RoomCreation), list(self.room_kinds.choosable)
        self.services.append(ServiceSpec(BUILT_IN, RoomCreation, words, actor_types, methods, {}))
        return self._route(BUILT_IN, methods, actor_types[RoomCreation], Scope.SERVER)


def _check_names(extension: Extension) -> None:
    classes: list[type[Service] | type[RoomKind]] = [*extension.services, *extension.room_kinds]
    stores = [cls.kept_as or cls.__name__ for cls in classes]
    for names in ([service.__name__ for service in extension.services], stores):
        for name in names:
            if names.count(name) > 1:
                why = f"the extension {extension.name!r} has two of this name, which would share a store"
                raise BadHandler(name, f"{why}; rename one, or set its kept_as")


def _endpoints(extension: str, service: type[Service]) -> Endpoints:
    """The endpoints of a service, by HTTP method and path below `/extensions`."""
    return {(method, f"/{extension}{path}"): answer for (method, path), answer in endpoints_of(service).items()}
