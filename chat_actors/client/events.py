"""What a client hears beside the server's own messages, and what can go wrong for who asks it for something."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.client.errors import ClientError
from chat_actors.client.stay import Gap
from chat_actors.protocol import AnyMessage, messages


class Reconnecting(msgspec.Struct, frozen=True):
    """The connection is lost, and tried for again in so many seconds."""

    seconds: float
    why: str


class Reconnected(msgspec.Struct, frozen=True):
    """There is a connection again; what was missed comes next."""


ClientEvent: TypeAlias = AnyMessage | Gap | Reconnecting | Reconnected


class NotSent(ClientError):
    """The server refused to do what was asked, and would again."""

    def __init__(self, error: messages.Error) -> None:
        self.text = error.message
        self.code = error.code

    def __str__(self) -> str:
        return f"the server refused: {self.text}"


class Unanswered(ClientError):
    """The answer to a command of an extension did not come: nobody knows whether it was carried out.

    It is not sent again by itself, since what it does may not be meant to be done twice.
    """

    def __init__(self, command: str, why: str) -> None:
        self.command = command
        self.why = why

    def __str__(self) -> str:
        return f"no answer to {self.command!r}: {self.why}; it may have been carried out, or not"


class PutOut(ClientError):
    """The user is not in the room any more, by no wish of their own: nothing of it is heard any more."""

    def __init__(self, room_id: str, text: str, code: str | None) -> None:
        self.room_id = room_id
        self.text = text
        self.code = code

    def __str__(self) -> str:
        return f"out of the room {self.room_id}: {self.text}"


class NobodyReads(ClientError):
    """The answer cannot come, since too many events wait to be read. The request may have been carried out."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def __str__(self) -> str:
        return (
            f"{self.waiting} events wait to be read, and the answer is behind them: read them in a task of their own, "
            "or connect with listen=False"
        )
