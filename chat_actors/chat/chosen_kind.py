"""The room kind that a user has chosen for a room, as the server stores it."""

from __future__ import annotations

import msgspec

from chat_actors.chat.removed_user import RemovedUser
from chat_actors.chat.store import StateUnreadable, Store
from chat_actors.protocol import REMOVED_USER
from chat_actors.storage import States, StorageError

ROOM_SPACES = "rooms/"
"""What the spaces begin with in which the server itself stores the state of rooms; the rest is the room id."""

CHOSEN = "chosen"
"""The storage key of a room's `ChosenKind`."""


class ChosenKind(msgspec.Struct, frozen=True):
    """The room kind that a user has chosen for a room, and that user. Stored."""

    chosen_as: str = ""
    creator: str = ""
    is_visited: bool = False
    """Whether users were in the room without a choice: then none can be made any more."""


async def load_chosen(states: States, room_id: str) -> ChosenKind:
    """The stored choice of a room. Does not start the room. Raises `StorageError`."""
    try:
        return await _store_of(states, room_id).get(CHOSEN, ChosenKind, ChosenKind())
    except StateUnreadable as error:
        remedy = "restore a backup, or start the version that has stored it"
        raise StorageError("read the kind of a room", error.space, error.problem, remedy) from error


async def store_chosen(states: States, room_id: str, chosen: ChosenKind) -> None:
    """Store the choice of a room. Raises `StorageError`."""
    await _store_of(states, room_id).put(CHOSEN, chosen)


async def erase_from_room(removed: RemovedUser) -> None:
    """Erase a removed user from what the server itself stores about a room. Raises `StorageError`."""
    chosen = await removed.store.get(CHOSEN, ChosenKind, ChosenKind())
    if chosen.creator == removed.user_id:
        await removed.store.put(CHOSEN, msgspec.structs.replace(chosen, creator=REMOVED_USER))


def _store_of(states: States, room_id: str) -> Store:
    return Store(states, f"{ROOM_SPACES}{room_id}")
