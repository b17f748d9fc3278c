"""A removed user, as the hooks of extensions are told about it."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from chat_actors.chat.store import Store
from chat_actors.protocol import REMOVED_USER


class RemovedUser(msgspec.Struct, frozen=True):
    """A user whose account was removed, and one of the stores in which a service or a room kind may have its data.

    Attributes:
        user_id: The user.
        key: The key of the store: a user id or a room id, or empty for a service with `Scope.SERVER`.
        store: The store of the service or room kind for this key.
        settings: The extension's settings, an instance of its struct.
        STAND_IN: An id to store in place of the user's, where there must be one. No user can have it.
    """

    STAND_IN: ClassVar[str] = REMOVED_USER

    user_id: str
    key: str
    store: Store
    settings: Any
