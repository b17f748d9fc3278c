"""What a conversation tells of, beside what the server says."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.client.dialect import Unknown
from chat_actors.client.errors import ClientError
from chat_actors.client.stay import Gap
from chat_actors.protocol import AnyMessage, messages


class Done(msgspec.Struct, frozen=True):
    """What was asked for under `request_id` has been done: `answer` is what the server said."""

    request_id: str
    answer: AnyMessage | Unknown


class NotDone(msgspec.Struct, frozen=True):
    """What was asked for under `request_id` was refused, and would be again."""

    request_id: str
    error: messages.Error


class NoAnswer(msgspec.Struct, frozen=True):
    """Nobody knows whether what was asked for under `request_id` has been done, and it is not asked for again."""

    request_id: str
    command: str
    why: str


class Resumed(msgspec.Struct, frozen=True):
    """The user is logged in again, and in the room: what comes now follows on what came before, but for a `Gap`."""


Event: TypeAlias = AnyMessage | Gap | Done | NotDone | NoAnswer | Resumed


class TooMuchUnsent(ClientError):
    """So many commands wait for the server already. Nothing was added."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __str__(self) -> str:
        return f"{self.most} commands wait for the server already; wait until some have been answered"
