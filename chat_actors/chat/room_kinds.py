"""Which rooms are of which kinds: by their names, or because a user has chosen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chat_actors.chat.command_method import Methods
from chat_actors.chat.room_kind import RoomKind
from chat_actors.kernel import ActorType


class RoomKindSpec(msgspec.Struct, frozen=True):
    """A kind of room that an extension adds, and what its objects are given."""

    extension: str
    kind: type[RoomKind]
    settings: Any
    methods: Methods
    services: Mapping[type[Any], ActorType[Any]]


class KindChosenTwice(Exception):
    """Two kinds are to be chosen by one word."""

    def __init__(self, chosen_as: str, first: str, second: str) -> None:
        self.chosen_as = chosen_as
        self.first = first
        self.second = second

    def __str__(self) -> str:
        return (
            f"the kind of room {self.chosen_as!r} is claimed by the extension {self.first!r} and by {self.second!r}; "
            "switch one of them off"
        )


class RoomKinds:
    """All kinds of all extensions that are switched on."""

    def __init__(self, specs: Sequence[RoomKindSpec] = ()) -> None:
        """Raises `KindChosenTwice`."""
        self._specs = specs
        self.choosable: dict[str, RoomKindSpec] = {}
        """By the word with which a user chooses them."""
        for spec in specs:
            word = spec.kind.chosen_as
            if word and word in self.choosable:
                raise KindChosenTwice(word, self.choosable[word].extension, spec.extension)
            if word:
                self.choosable[word] = spec

    def has_kind_for(self, room_id: str) -> bool:
        """Whether a room of this name is of a kind, or may be."""
        return bool(self.choosable) or any(spec.kind.matches(room_id, spec.settings) for spec in self._specs)

    def for_room(self, room_id: str, chosen_as: str = "") -> Sequence[RoomKindSpec]:
        """The kinds of a room: of each extension one at most, that which was chosen or the first whose name matches."""
        chosen = self.choosable.get(chosen_as)
        found: dict[str, RoomKindSpec] = {} if chosen is None else {chosen.extension: chosen}
        for spec in self._specs:
            if spec.kind.matches(room_id, spec.settings):
                found.setdefault(spec.extension, spec)
        return [spec for spec in self._specs if found.get(spec.extension) is spec]
