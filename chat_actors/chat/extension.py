"""The combined services, room kinds, commands, messages and endpoints of all enabled extensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chat_actors.chat.command_method import Methods, Rate, Where
from chat_actors.chat.declaration import Extension, InvalidDeclaration, NoSettings
from chat_actors.chat.declaration_checks import BotNames, check_declaration, checked, messages_of
from chat_actors.chat.endpoint import Endpoints, endpoints_of
from chat_actors.chat.room_creation import RoomCreation
from chat_actors.chat.room_kind import methods_of_kind
from chat_actors.chat.room_kinds import RoomKinds, RoomKindSpec
from chat_actors.chat.service import Scope, Service, ServiceDependencies, ServiceState, methods_of
from chat_actors.chat.store import Store, space_of
from chat_actors.kernel import ActorType
from chat_actors.protocol import BUILT_IN, CommandSpec, ExtensionCommand, MessageSpec, Vocabulary, has_own_room_id
from chat_actors.storage import Accounts, States


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
        store = Store(states, space_of(self.extension, self.service, key))
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
        """Raises `InvalidDeclaration`, `DuplicateTag` or `DuplicateRoomKind`."""
        self.names = sorted(item.extension.name for item in enabled)
        self.services: list[ServiceSpec] = []
        self.routes: dict[type[ExtensionCommand], Route] = {}
        self.endpoints: dict[tuple[str, str], ActorType[Any]] = {}
        """The service that answers, by HTTP method and path below `/extensions`."""
        self._handlers: dict[type[ExtensionCommand], str] = {}
        self._commands: list[CommandSpec] = []
        self._messages: list[MessageSpec] = []
        room_kinds: list[RoomKindSpec] = []
        bot_names = BotNames()
        for item in enabled:
            extension, settings = item.extension, item.settings
            check_declaration(extension)
            name = extension.name
            actor_types = {service: ActorType[Any](f"{name}.{service.__name__}") for service in extension.services}
            for service in extension.services:
                bot_names.add(name, service)
                methods = checked(name, methods_of, service)
                endpoints = checked(name, _endpoints, name, service)
                self._add_service(ServiceSpec(name, service, settings, actor_types, methods, endpoints))
                self._route(extension, methods, actor_types[service], service.scope)
            for kind in extension.room_kinds:
                methods = checked(name, methods_of_kind, kind)
                room_kinds.append(RoomKindSpec(name, kind, settings, methods, actor_types))
                self._route(extension, methods, None, Scope.ROOM)
            self._messages += [
                MessageSpec(_owner(extension), message, is_unasked=True) for message in extension.messages
            ]
        self.room_kinds = RoomKinds(room_kinds)
        if self.room_kinds.choosable:
            self._add_room_creation()
        self.vocabulary = Vocabulary(self._commands, self._messages)

    def _add_service(self, spec: ServiceSpec) -> None:
        if spec.endpoints and spec.service.scope is not Scope.SERVER:
            problem = "only a service with Scope.SERVER can have endpoints"
            raise InvalidDeclaration(spec.extension, spec.service.__qualname__, problem)
        self.services.append(spec)
        for method, path in spec.endpoints:
            self.endpoints[method, path] = spec.actor_type

    def _route(self, extension: Extension, methods: Methods, actor_type: ActorType[Any] | None, scope: Scope) -> None:
        owner = _owner(extension)
        self._messages += messages_of(extension, owner, methods)
        for method in methods.values():
            name = method.call.__qualname__
            if method.where is Where.IN_ROOM and has_own_room_id(method.command):
                problem = "its field room_id is the room that the server looks up; rename it, or set where"
                raise InvalidDeclaration(extension.name, name, problem)
            if method.command in self._handlers:
                problem = f"{self._handlers[method.command]} handles {method.command.__qualname__} already"
                raise InvalidDeclaration(extension.name, name, f"{problem}: a command has one method")
            self._handlers[method.command] = name
            self.routes[method.command] = Route(actor_type, scope, method.rate)
            self._commands.append(CommandSpec(owner, method.command, method.where.rules, method.answers))

    def _add_room_creation(self) -> None:
        actor_types = {RoomCreation: ActorType[Any]("create_room")}
        methods, words = methods_of(RoomCreation), list(self.room_kinds.choosable)
        self.services.append(ServiceSpec(BUILT_IN, RoomCreation, words, actor_types, methods, {}))
        self._route(Extension(name=BUILT_IN), methods, actor_types[RoomCreation], Scope.SERVER)


def _owner(extension: Extension) -> str:
    return BUILT_IN if extension.name == BUILT_IN else f"the extension {extension.name!r}"


def _endpoints(extension: str, service: type[Service]) -> Endpoints:
    """The endpoints of a service, by HTTP method and path below `/extensions`."""
    return {(method, f"/{extension}{path}"): answer for (method, path), answer in endpoints_of(service).items()}
