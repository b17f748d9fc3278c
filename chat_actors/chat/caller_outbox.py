"""The outbox that extensions receive with a command: it ends with the login or the membership that it belongs to."""

from __future__ import annotations

from chat_actors.chat.outbox import Block, Closing, Outbox
from chat_actors.protocol import CloseCode


class CallerOutbox:
    """Passes blocks on to the outbox of the connection, until `end`.

    A service may keep it for longer than the user stays: the next user of the connection must not receive its messages,
    nor a client those of a room that it has left.
    """

    __slots__ = ("_outbox", "is_ended")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.is_ended = False

    def offer(self, block: Block) -> bool:
        return not self.is_ended and self._outbox.offer(block)

    def end(self) -> None:
        """Refuse every later block."""
        self.is_ended = True

    def close(self, code: CloseCode, reason: str) -> None:
        self._outbox.close(code, reason)

    @property
    def closing(self) -> Closing | None:
        return self._outbox.closing

    @property
    def backlog(self) -> int:
        return self._outbox.backlog
