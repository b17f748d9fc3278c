"""Actors that are found by kind and key: `get_or_spawn` is one dictionary access, so there are never two of one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from chat_actors.kernel.errors import UnknownKind

if TYPE_CHECKING:
    from chat_actors.kernel.actor import Actor
    from chat_actors.kernel.cell import Cell
    from chat_actors.kernel.ref import AnyRef

Message = TypeVar("Message")
Maker = Callable[[str], Callable[[], "Actor[Any]"]]


class Kind(Generic[Message]):
    """A kind of actor, say rooms, whose refs take `Message`. Two kinds are the same if their names are."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"


class _Offer:
    __slots__ = ("make", "parent", "running")

    def __init__(self, parent: Cell, make: Maker) -> None:
        self.parent = parent
        self.make = make
        self.running: dict[str, AnyRef] = {}


class Registry:
    """Who offers which kind, and who runs under which key. Holds one entry for each running actor, and no more."""

    def __init__(self) -> None:
        self._offers: dict[str, _Offer] = {}

    def offer(self, kind: Kind[Any], parent: Cell, make: Maker) -> None:
        """Make `parent` the one that spawns this kind. A parent that restarts offers again and keeps what runs."""
        offer = self._offers.get(kind.name)
        if offer is not None and offer.parent is parent:
            offer.make = make
        else:
            self._offers[kind.name] = _Offer(parent, make)

    def get_or_spawn(self, kind: Kind[Any], key: str) -> AnyRef:
        """No await between looking and spawning: that is what makes it atomic. Raises `UnknownKind`, `ActorStopped`."""
        offer = self._offers.get(kind.name)
        if offer is None:
            raise UnknownKind(kind.name)
        ref = offer.running.get(key)
        if ref is None:
            running = offer.running

            def forget() -> None:
                del running[key]

            ref = running[key] = offer.parent.spawn_child(f"{kind.name}:{key}", offer.make(key), on_closed=forget)
        return ref

    def running(self, kind: Kind[Any]) -> Mapping[str, AnyRef]:
        """The actors of that kind that run now, by key: a live view, which changes as they come and go."""
        offer = self._offers.get(kind.name)
        return {} if offer is None else offer.running
