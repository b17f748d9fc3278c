"""The events of a client besides the messages from the server."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.protocol import AnyMessage


class Gap(msgspec.Struct, frozen=True):
    """Messages of the room are missing at this point, because the server no longer stores them.

    Attributes:
        room_id: The room.
        lost: How many messages are missing; None if unknown.
    """

    room_id: str
    lost: int | None


class Reconnecting(msgspec.Struct, frozen=True):
    """The connection is lost. The client will try to reconnect.

    Attributes:
        seconds: Time until the next attempt, in seconds.
        why: Why the connection ended, for people.
    """

    seconds: float
    why: str


class Reconnected(msgspec.Struct, frozen=True):
    """The user is in the room again. The missed messages follow."""


ClientEvent: TypeAlias = AnyMessage | Gap | Reconnecting | Reconnected
