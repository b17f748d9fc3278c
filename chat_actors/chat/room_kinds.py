"""The room kinds of a room: those that match its id, and the one that a user has chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chat_actors.chat.command_method import Methods
from chat_actors.chat.room_kind import RoomKind
from chat_actors.kernel import ActorType


class RoomKindSpec(msgspec.Struct, frozen=True):
    """A room kind of an extension, with what its instances need."""

    extension: str
    kind: type[RoomKind]
    settings: Any
    methods: Methods
    services: Mapping[type[Any], ActorType[Any]]


class DuplicateRoomKind(Exception):
    """Two room kinds have the same `chosen_as`."""

    def __init__(self, chosen_as: str, first: str, second: str) -> None:
        self.chosen_as = chosen_as
        self.first = first
        self.second = second

    def __str__(self) -> str:
        return (
            f"the room kind {self.chosen_as!r} is claimed by the extension {self.first!r} and by {self.second!r}; "
            "switch one of them off"
        )


class RoomKinds:
    """The room kinds of all enabled extensions."""

    def __init__(self, specs: Sequence[RoomKindSpec] = ()) -> None:
        """Raises `DuplicateRoomKind`."""
        self.specs = specs
        self.choosable: dict[str, RoomKindSpec] = {}
        """The room kinds that a user can choose, by `chosen_as`."""
        for spec in specs:
            chosen_as = spec.kind.chosen_as
            if chosen_as and chosen_as in self.choosable:
                raise DuplicateRoomKind(chosen_as, self.choosable[chosen_as].extension, spec.extension)
            if chosen_as:
                self.choosable[chosen_as] = spec

    def has_kind_for(self, room_id: str) -> bool:
        """Whether a room with this id has a room kind, or could be given one by a user."""
        return bool(self.choosable) or any(spec.kind.matches(room_id, spec.settings) for spec in self.specs)

    def can_refuse(self, room_id: str, chosen_as: str) -> bool:
        """Whether a room that does not run could refuse a user. If not, it need not be started to ask it."""
        if chosen_as and chosen_as not in self.choosable:
            return True
        return any(spec.kind.may_join is not RoomKind.may_join for spec in self.for_room(room_id, chosen_as))

    def for_room(self, room_id: str, chosen_as: str = "") -> Sequence[RoomKindSpec]:
        """The room kinds of a room, at most one per extension: the chosen one, or else the first matching one."""
        chosen = self.choosable.get(chosen_as)
        found: dict[str, RoomKindSpec] = {} if chosen is None else {chosen.extension: chosen}
        for spec in self.specs:
            if spec.kind.matches(room_id, spec.settings):
                found.setdefault(spec.extension, spec)
        return [spec for spec in self.specs if found.get(spec.extension) is spec]
