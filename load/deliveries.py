"""What is written into a message, so that whoever hears it can tell what is missing, out of order, or late."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

_FILLING = "."


@dataclass(frozen=True)
class Mark:
    """The beginning of a content. `stay`: which of the sender's stays in rooms; `number`: which message of the stay."""

    sender: str
    stay: int
    number: int
    sent_ns: int
    """Nanoseconds since the epoch, by the sender's clock."""

    def as_content(self, chars: int = 0) -> str:
        """At least so many characters."""
        return f"{self.sender} {self.stay} {self.number} {self.sent_ns} ".ljust(chars, _FILLING)

    @classmethod
    def of(cls, content: str) -> Mark | None:
        """None if it is somebody else's."""
        parts = content.split(" ", 4)
        if len(parts) != 5:
            return None
        try:
            return cls(parts[0], int(parts[1]), int(parts[2]), int(parts[3]))
        except ValueError:
            return None


class Marker:
    """Numbers one sender's messages: each stay in a room by one, from 0 on."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._stays = itertools.count()
        self.begin_stay()

    def begin_stay(self) -> None:
        """Those to come follow on nothing: the sender enters a room, or does not know whether the last one arrived."""
        self._stay = next(self._stays)
        self._numbers = itertools.count()

    def next(self, now_ns: int) -> Mark:
        return Mark(self._sender, self._stay, next(self._numbers), now_ns)


class Listener:
    """Holds what one member hears to what the server promises: each message of the room once, in one order."""

    def __init__(self) -> None:
        self.last_seq: int | None = None
        """The number of the last message that was heard."""
        self._heard: dict[str, tuple[int, int]] = {}  # sender: stay, number

    def enter(self) -> None:
        """What comes now follows on nothing that was before."""
        self.last_seq = None
        self._heard.clear()

    def hear(self, seq: int, mark: Mark | None) -> str | None:
        """Take a message. What is wrong with it, or None."""
        before, self.last_seq = self.last_seq, max(seq, self.last_seq or seq)
        wrong = self._compare(mark) if mark is not None else None
        if before is not None and seq <= before:
            return "heard twice" if seq == before else "out of order"
        return wrong

    def _compare(self, mark: Mark) -> str | None:
        stay, number = self._heard.get(mark.sender, (mark.stay, mark.number - 1))
        self._heard[mark.sender] = mark.stay, mark.number
        if stay != mark.stay or number + 1 == mark.number:
            return None
        return "messages are missing" if number < mark.number else "out of order"
