"""What a client hears beside the server's own messages, and what can go wrong for who asks it for something."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.client.stay import Gap
from chat_actors.protocol import ServerMessage, messages


class Reconnecting(msgspec.Struct, frozen=True):
    """The connection is lost, and tried for again in so many seconds."""

    seconds: float
    why: str


class Reconnected(msgspec.Struct, frozen=True):
    """There is a connection again; what was missed comes next."""


ClientEvent: TypeAlias = ServerMessage | Gap | Reconnecting | Reconnected


class NotSent(Exception):
    """The server refused to do what was asked, and would again."""

    def __init__(self, error: messages.Error) -> None:
        self.text = error.message
        self.code = error.code

    def __str__(self) -> str:
        return f"the server refused: {self.text}"


class NobodyReads(Exception):
    """The answer cannot come, since too many events wait to be read. The request may have been carried out."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def __str__(self) -> str:
        return (
            f"{self.waiting} events wait to be read, and the answer is behind them: read them in a task of their own, "
            "or connect with listen=False"
        )
