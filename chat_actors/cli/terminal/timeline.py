"""The lines of one room: messages, notices, gaps, and the user's own messages that are not delivered yet. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from chat_actors.client import ChatMessage, Gap, History

MAX_LINES = 5000
"""Lines of a room that are kept. Beyond, the oldest are dropped; they can be loaded again."""


class MessageLine(msgspec.Struct, frozen=True):
    """A message that the server has stored. `order` increases from line to line, for all kinds of lines."""

    order: int
    message: ChatMessage


class NoticeLine(msgspec.Struct, frozen=True):
    """Information from the client or the server."""

    order: int
    text: str
    is_problem: bool = False


class GapLine(msgspec.Struct, frozen=True):
    """Messages are missing here: `lost` is their number, None if unknown."""

    order: int
    lost: int | None


class PendingLine(msgspec.Struct, frozen=True):
    """A message of the user that has not been delivered back. `seq` is its number once it is stored."""

    order: int
    text: str
    seq: int | None = None


class FailedLine(msgspec.Struct, frozen=True):
    """A message of the user that was not stored, and the reason."""

    order: int
    text: str
    why: str


Line: TypeAlias = MessageLine | NoticeLine | GapLine | PendingLine | FailedLine


class Timeline:
    """The newest lines of a room, and below them the user's pending messages."""

    def __init__(self, maximum: int = MAX_LINES) -> None:
        self._maximum = maximum
        self._lines: list[Line] = []
        self._pending: dict[int, PendingLine] = {}
        self._last_order = 0
        self._next_order_above = -1
        self._history_end = 0  # `seq` of the last message loaded as history, which may be received live as well
        self._last_received = 0
        self.has_older = True
        """Whether the server may have messages before the first line, and there is space for them."""

    @property
    def lines(self) -> Sequence[Line]:
        """Oldest first."""
        return (*self._lines, *self._pending.values())

    @property
    def unsent(self) -> int:
        """How many of the user's messages the server has neither stored nor refused."""
        return sum(line.seq is None for line in self._pending.values())

    @property
    def first_seq(self) -> int | None:
        """The number of the oldest message."""
        return next((line.message.seq for line in self._lines if isinstance(line, MessageLine)), None)

    @property
    def free_space(self) -> int:
        """How many more lines can be loaded."""
        return self._maximum - len(self._lines)

    def add_history(self, page: History) -> None:
        """Add older messages above the first line; the newest of them, if there is not enough space for all."""
        if not self._last_received and page.last is not None:
            self._history_end = self._last_received = page.last
        fitting = page.messages[len(page.messages) - min(len(page.messages), self.free_space) :]
        above = [MessageLine(self._next_order_above - n, message) for n, message in enumerate(reversed(fitting))]
        self._next_order_above -= len(fitting)
        self._lines[:0] = reversed(above)
        self.has_older = page.more and self.free_space > 0

    def add_message(self, message: ChatMessage) -> bool:
        """Add a received message. Returns whether it is new."""
        if message.seq <= self._history_end:
            return False
        self._history_end = 0  # everything from here on is new, even if the server restarted the room's numbering
        self._last_received = message.seq
        self._add(MessageLine(self._next_order(), message))
        for order, pending in self._pending.items():
            if pending.seq == message.seq:
                del self._pending[order]
                break
        return True

    def add_gap(self, gap: Gap) -> None:
        """Messages are missing after the last line."""
        self._history_end = 0
        if gap.lost is None:  # the numbering may have restarted, so older messages have no known numbers
            self.has_older = False
        self._add(GapLine(self._next_order(), gap.lost))

    def add_notice(self, text: str, *, is_problem: bool = False) -> None:
        self._add(NoticeLine(self._next_order(), text, is_problem))

    def add_pending(self, text: str) -> int:
        """Add a message of the user. Returns its `order`, for `confirm` or `fail`."""
        order = self._next_order()
        self._pending[order] = PendingLine(order, text)
        return order

    def confirm(self, order: int, seq: int) -> None:
        """The server has stored a pending message under the number `seq`."""
        if seq <= self._last_received:
            self._pending.pop(order, None)
        elif order in self._pending:
            self._pending[order] = msgspec.structs.replace(self._pending[order], seq=seq)

    def fail(self, order: int, why: str) -> None:
        """The server has not stored a pending message, and will not."""
        if (pending := self._pending.pop(order, None)) is not None:
            self._add(FailedLine(self._next_order(), pending.text, why))

    def _next_order(self) -> int:
        self._last_order += 1
        return self._last_order

    def _add(self, line: Line) -> None:
        self._lines.append(line)
        while len(self._lines) > self._maximum:
            self.has_older |= isinstance(self._lines.pop(0), MessageLine)
