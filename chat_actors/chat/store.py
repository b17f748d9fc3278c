"""What an extension keeps: values of its own types, beyond the end of the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from chat_actors.storage import States

Value = TypeVar("Value")

PAGE = 100
"""Values that are read at once."""


class StateUnreadable(Exception):
    """What is kept is not of the type that was asked for: its class has changed since."""

    def __init__(self, space: str, key: str, problem: str) -> None:
        self.space = space
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"the state {self.key!r} in {self.space!r} cannot be read: {self.problem}; "
            "give new fields a default, and keep old ones readable"
        )


class Store:
    """One space of the states, for one owner: a kind in one room, or a service for one key.

    Values are anything that msgspec makes JSON of: structs, dicts, lists, dates, numbers, texts. Every call may raise
    `StorageError`; what returned survives the end of the process, as `data.durability` has it. One owner alone writes
    to it, so what it read is still true when it writes.
    """

    __slots__ = ("_space", "_states")

    def __init__(self, states: States, space: str) -> None:
        self._states = states
        self._space = space

    async def get(self, key: str, value_type: type[Value], default: Value) -> Value:
        """The value of a key, or the default if there is none. Raises `StateUnreadable`."""
        found = await self._states.get(self._space, key)
        return default if found is None else self._decode(key, found, value_type)

    async def put(self, key: str, value: Any) -> None:
        """Keep a value."""
        await self._states.put(self._space, {key: msgspec.json.encode(value)})

    async def put_all(self, values: Mapping[str, Any]) -> None:
        """Keep several values, all of them or none; None forgets a key."""
        encoded = {key: None if value is None else msgspec.json.encode(value) for key, value in values.items()}
        await self._states.put(self._space, encoded)

    async def remove(self, key: str) -> None:
        """Forget a key, if there is one."""
        await self._states.put(self._space, {key: None})

    async def page(
        self, value_type: type[Value], *, prefix: str = "", after: str = "", limit: int = PAGE
    ) -> Sequence[tuple[str, Value]]:
        """The first keys with this prefix after that one, in order, with their values. Raises `StateUnreadable`."""
        found = await self._states.page(self._space, prefix=prefix, after=after, limit=limit)
        return [(key, self._decode(key, value, value_type)) for key, value in found]

    def _decode(self, key: str, value: bytes, value_type: type[Value]) -> Value:
        try:
            return msgspec.json.decode(value, type=value_type)
        except msgspec.MsgspecError as error:
            raise StateUnreadable(self._space, key, str(error)) from None
