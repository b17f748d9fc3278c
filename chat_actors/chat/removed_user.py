"""A removed user, as the hooks of extensions are told about it."""

from __future__ import annotations

from typing import Any

import msgspec

from chat_actors.chat.store import Store


class RemovedUser(msgspec.Struct, frozen=True):
    """A user whose account was removed, and one of the stores in which a service or a room kind may have its data.

    Attributes:
        user_id: The user.
        key: The key of the store: a user id or a room id, or empty for a service with `Scope.SERVER`.
        store: The store of the service or room kind for this key.
        settings: The extension's settings, an instance of its struct.
    """

    user_id: str
    key: str
    store: Store
    settings: Any
