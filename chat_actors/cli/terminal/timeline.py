"""What is shown of one room, line by line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from chat_actors.client import ChatMessage, Gap, History

MOST_LINES = 5000
"""Lines of a room that are kept. Beyond, the oldest go; they can be loaded again."""


class Said(msgspec.Struct, frozen=True):
    """A message that the server has stored. `n` orders all lines."""

    n: int
    message: ChatMessage


class Note(msgspec.Struct, frozen=True):
    """Something to know that nobody has said."""

    n: int
    text: str
    is_problem: bool = False


class Missing(msgspec.Struct, frozen=True):
    """Messages are missing here: how many, None if nobody knows."""

    n: int
    lost: int | None


class Outgoing(msgspec.Struct, frozen=True):
    """What the user has typed and has not heard yet. `seq`: its number once it is stored."""

    n: int
    text: str
    seq: int | None = None


class NotSaid(msgspec.Struct, frozen=True):
    """What the user has typed and the server has refused."""

    n: int
    text: str
    why: str


Line: TypeAlias = Said | Note | Missing | Outgoing | NotSaid


class Timeline:
    """The newest lines of a room, and below them what is on its way to it."""

    def __init__(self, most: int = MOST_LINES) -> None:
        self._most = most
        self._lines: list[Line] = []
        self._outgoing: dict[int, Outgoing] = {}
        self._next = 0  # the `n` of the next line at the end, and of the next above the first
        self._next_above = -1
        self._loaded_to = 0  # the number of the last message that came as history and may come live too
        self._heard_to = 0
        self.has_older = True
        """Whether the server may have messages from before the first line, and there is room for them."""

    @property
    def lines(self) -> Sequence[Line]:
        """Oldest first."""
        return (*self._lines, *self._outgoing.values())

    @property
    def unsent(self) -> int:
        """How much of what the user has typed the server has neither stored nor refused."""
        return sum(outgoing.seq is None for outgoing in self._outgoing.values())

    @property
    def first_seq(self) -> int | None:
        """The number of the oldest message that is shown."""
        return next((line.message.seq for line in self._lines if isinstance(line, Said)), None)

    @property
    def room_for(self) -> int:
        """How many lines more can be loaded."""
        return self._most - len(self._lines)

    def load(self, page: History) -> None:
        """What was said before the first line; the newest of it, if there is not room for all."""
        if not self._heard_to and page.last is not None:
            self._loaded_to = self._heard_to = page.last
        fitting = page.messages[len(page.messages) - min(len(page.messages), self.room_for) :]
        above = [Said(self._next_above - n, message) for n, message in enumerate(reversed(fitting))]
        self._next_above -= len(fitting)
        self._lines[:0] = reversed(above)
        self.has_older = page.more and self.room_for > 0

    def hear(self, message: ChatMessage) -> bool:
        """A message has come; whether it is new."""
        if message.seq <= self._loaded_to:
            return False
        self._loaded_to = 0  # from now on all is new, also if the server's numbers have begun anew
        self._heard_to = message.seq
        self._add(Said(self._next_n(), message))
        for n, outgoing in self._outgoing.items():
            if outgoing.seq == message.seq:
                del self._outgoing[n]
                break
        return True

    def miss(self, gap: Gap) -> None:
        """Messages are missing after the last line."""
        self._loaded_to = 0
        if gap.lost is None:  # the numbers may mean others now
            self.has_older = False
        self._add(Missing(self._next_n(), gap.lost))

    def note(self, text: str, *, is_problem: bool = False) -> None:
        """Add a line of our own."""
        self._add(Note(self._next_n(), text, is_problem))

    def send(self, text: str) -> int:
        """The user has typed this; the `n` of it."""
        n = self._next_n()
        self._outgoing[n] = Outgoing(n, text)
        return n

    def sent(self, n: int, seq: int) -> None:
        """The server has stored it under this number."""
        if seq <= self._heard_to:
            self._outgoing.pop(n, None)
        elif n in self._outgoing:
            self._outgoing[n] = msgspec.structs.replace(self._outgoing[n], seq=seq)

    def failed(self, n: int, why: str) -> None:
        """The server has not stored it, and will not."""
        if (outgoing := self._outgoing.pop(n, None)) is not None:
            self._add(NotSaid(self._next_n(), outgoing.text, why))

    def _next_n(self) -> int:
        self._next += 1
        return self._next

    def _add(self, line: Line) -> None:
        self._lines.append(line)
        while len(self._lines) > self._most:
            self.has_older |= isinstance(self._lines.pop(0), Said)
