"""The persistent store of extensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from chat_actors.storage import States

Value = TypeVar("Value")

PAGE = 100
"""Default number of values in one page."""


def space_of(extension: str, owner: type[Any], key: str) -> str:
    """The space of a service or a room kind for one key."""
    return f"{extension}.{owner.kept_as or owner.__name__}/{key}"


class StateUnreadable(Exception):
    """A stored value does not decode as the requested type, as after an incompatible change of the type."""

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
    """A persistent key-value store with one owner: a room kind in one room, or a service for one key.

    A value is anything that msgspec encodes as JSON: structs, dicts, lists, dates, numbers, strings. A write that has
    returned survives the end of the process; the setting `data.durability` says whether it survives a power cut. Only
    the owner writes, so a value that it has read stays current until it writes again. Every method may raise
    `StorageError`.
    """

    __slots__ = ("_space", "_states")

    def __init__(self, states: States, space: str) -> None:
        self._states = states
        self._space = space

    async def get(self, key: str, value_type: type[Value], default: Value) -> Value:
        """Read the value of a key.

        Args:
            key: Any string.
            value_type: The type to decode, for example a struct class or `list[int]`.
            default: Returned if the key has no value.

        Returns:
            The decoded value, or `default`.

        Raises:
            StateUnreadable: The stored value does not decode as `value_type`.
            StorageError: The storage failed.
        """
        found = await self._states.get(self._space, key)
        return default if found is None else self._decode(key, found, value_type)

    async def put(self, key: str, value: Any) -> None:
        """Store a value, in place of the previous one.

        Args:
            key: Any string.
            value: Any value that msgspec encodes as JSON.

        Raises:
            StorageError: The storage failed; nothing was written.
        """
        await self._states.put(self._space, {key: msgspec.json.encode(value)})

    async def put_all(self, values: Mapping[str, Any]) -> None:
        """Store several values atomically.

        Args:
            values: The values by key. None removes its key.

        Raises:
            StorageError: The storage failed; nothing was written.
        """
        encoded = {key: None if value is None else msgspec.json.encode(value) for key, value in values.items()}
        await self._states.put(self._space, encoded)

    async def remove(self, key: str) -> None:
        """Remove a key. Does nothing if the key has no value.

        Args:
            key: Any string.

        Raises:
            StorageError: The storage failed; nothing was removed.
        """
        await self._states.put(self._space, {key: None})

    async def clear(self) -> None:
        """Remove all keys, a page at a time. Call it again if it fails.

        Raises:
            StorageError: The storage failed; some keys may be removed.
        """
        while found := await self._states.page(self._space, limit=PAGE):
            await self._states.put(self._space, {key: None for key, _ in found})

    async def page(
        self, value_type: type[Value], *, prefix: str = "", after: str = "", limit: int = PAGE
    ) -> Sequence[tuple[str, Value]]:
        """Read one page of keys and values, sorted by key.

        Args:
            value_type: The type to decode each value as.
            prefix: Only keys that start with this.
            after: Only keys greater than this one: the last key of the previous page.
            limit: Maximum number of values.

        Returns:
            Keys and decoded values. Fewer than `limit` if these are the last.

        Raises:
            StateUnreadable: A stored value does not decode as `value_type`.
            StorageError: The storage failed.
        """
        found = await self._states.page(self._space, prefix=prefix, after=after, limit=limit)
        return [(key, self._decode(key, value, value_type)) for key, value in found]

    def _decode(self, key: str, value: bytes, value_type: type[Value]) -> Value:
        try:
            return msgspec.json.decode(value, type=value_type)
        except msgspec.MsgspecError as error:
            raise StateUnreadable(self._space, key, str(error)) from None
