"""Actors found by type and key. `get_or_spawn` is one dictionary access, so two actors never share a key.

An entry ends when its actor begins to end. `get_or_spawn` then makes the successor at once, so that its ref is stable
and its mailbox accepts messages; the cell starts it once the predecessor has ended (see `cell.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat_actors.kernel.errors import UnknownActorType
from chat_actors.kernel.ports import CellPort, KeyedFactory
from chat_actors.kernel.ref import ActorType, AnyRef


class _Declaration:
    __slots__ = ("make", "parent", "running")

    def __init__(self, parent: CellPort, make: KeyedFactory) -> None:
        self.parent = parent
        self.make = make
        self.running: dict[str, AnyRef] = {}


class Registry:
    """The declared actor types, and the running or waiting actors of each, by key."""

    def __init__(self) -> None:
        self._declared: dict[str, _Declaration] = {}

    def declare(self, actor_type: ActorType[Any], parent: CellPort, make: KeyedFactory) -> None:
        """Make `parent` the parent of this type's actors. A restarted parent declares again and keeps them."""
        declared = self._declared.get(actor_type.name)
        if declared is not None and declared.parent is parent:
            declared.make = make
        else:
            self._declared[actor_type.name] = _Declaration(parent, make)

    def get_or_spawn(self, actor_type: ActorType[Any], key: str) -> AnyRef:
        """Return the running actor, or start one. Atomic, since it does not await. Raises as `Context.get_or_spawn`."""
        declared = self._declared.get(actor_type.name)
        if declared is None:
            raise UnknownActorType(actor_type.name)
        running = declared.running
        ref = running.get(key)
        if ref is None:

            def forget() -> None:
                del running[key]

            name = f"{actor_type.name}:{key}"
            ref = running[key] = declared.parent.spawn_child(name, declared.make(key), on_closed=forget)
        return ref

    def running(self, actor_type: ActorType[Any]) -> Mapping[str, AnyRef]:
        """Return a live view of the running actors of that type, by key."""
        declared = self._declared.get(actor_type.name)
        return {} if declared is None else declared.running
