"""What is written into a message, so that whoever hears it can tell what is missing, out of order, or late."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

_PADDING = "."


@dataclass(frozen=True)
class MessageStamp:
    """The prefix of a message's content, by which recipients detect lost, duplicate, reordered and late messages."""

    sender: str
    epoch: int
    number: int
    sent_ns: int
    """Nanoseconds since the epoch, by the sender's clock."""

    def as_content(self, chars: int = 0) -> str:
        """At least so many characters."""
        return f"{self.sender} {self.epoch} {self.number} {self.sent_ns} ".ljust(chars, _PADDING)

    @classmethod
    def parse(cls, content: str) -> MessageStamp | None:
        """None if it is somebody else's."""
        parts = content.split(" ", 4)
        if len(parts) != 5:
            return None
        try:
            return cls(parts[0], int(parts[1]), int(parts[2]), int(parts[3]))
        except ValueError:
            return None


class MessageStamper:
    """Numbers one sender's messages: each stay in a room by one, from 0 on."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._epochs = itertools.count()
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Those to come follow on nothing: the sender enters a room, or does not know whether the last one arrived."""
        self._epoch = next(self._epochs)
        self._numbers = itertools.count()

    def next(self, now_ns: int) -> MessageStamp:
        return MessageStamp(self._sender, self._epoch, next(self._numbers), now_ns)


class DeliveryChecker:
    """Holds what one member hears to what the server promises: each message of the room once, in one order."""

    def __init__(self) -> None:
        self.last_seq: int | None = None
        """The number of the last message that was heard."""
        self._received: dict[str, tuple[int, int]] = {}  # sender: stay, number

    def reset(self) -> None:
        """What comes now follows on nothing that was before."""
        self.last_seq = None
        self._received.clear()

    def check(self, seq: int, stamp: MessageStamp | None) -> str | None:
        """Take a message. What is wrong with it, or None."""
        previous, self.last_seq = self.last_seq, max(seq, self.last_seq or seq)
        violation = self._check_number(stamp) if stamp is not None else None
        if previous is not None and seq <= previous:
            return "heard twice" if seq == previous else "out of order"
        return violation

    def _check_number(self, stamp: MessageStamp) -> str | None:
        epoch, number = self._received.get(stamp.sender, (stamp.epoch, stamp.number - 1))
        self._received[stamp.sender] = stamp.epoch, stamp.number
        if epoch != stamp.epoch or number + 1 == stamp.number:
            return None
        return "messages are missing" if number < stamp.number else "out of order"
