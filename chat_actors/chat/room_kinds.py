"""Which rooms are of which kinds: by their names, or because a user has chosen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chat_actors.chat.command_method import Methods
from chat_actors.chat.room_kind import RoomKind
from chat_actors.kernel import Kind


class OfferedKind(msgspec.Struct, frozen=True):
    """A kind of room that an extension adds, and what its objects are given."""

    extension: str
    kind: type[RoomKind]
    settings: Any
    methods: Methods
    services: Mapping[type[Any], Kind[Any]]


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

    def __init__(self, offered: Sequence[OfferedKind] = ()) -> None:
        """Raises `KindChosenTwice`."""
        self.offered = offered
        self.choosable: dict[str, OfferedKind] = {}
        """By the word with which a user chooses them."""
        for one in offered:
            word = one.kind.chosen_as
            if word and word in self.choosable:
                raise KindChosenTwice(word, self.choosable[word].extension, one.extension)
            if word:
                self.choosable[word] = one

    def concern(self, room_id: str) -> bool:
        """Whether a room of this name is of a kind, or may be."""
        return bool(self.choosable) or any(one.kind.matches(room_id, one.settings) for one in self.offered)

    def of(self, room_id: str, chosen_as: str = "") -> Sequence[OfferedKind]:
        """The kinds of a room: of each extension one at most, that which was chosen or the first whose name matches."""
        chosen = self.choosable.get(chosen_as)
        found: dict[str, OfferedKind] = {} if chosen is None else {chosen.extension: chosen}
        for one in self.offered:
            if one.kind.matches(room_id, one.settings):
                found.setdefault(one.extension, one)
        return [one for one in self.offered if found.get(one.extension) is one]
