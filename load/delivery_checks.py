"""Stamps messages at the sender, so that each recipient can check that it receives every message once and in order."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

_PADDING = "."


@dataclass(frozen=True)
class MessageStamp:
    """The prefix of a message's content, by which recipients detect lost, duplicate, reordered and late messages."""

    sender: str
    epoch: int
    """Numbering restarts in each epoch; see `MessageStamper.begin_epoch`."""
    number: int
    sent_ns: int
    """Unix time in nanoseconds, by the sender's clock."""

    def as_content(self, chars: int = 0) -> str:
        """Content that begins with this stamp, padded to at least `chars` characters."""
        return f"{self.sender} {self.epoch} {self.number} {self.sent_ns} ".ljust(chars, _PADDING)

    @classmethod
    def parse(cls, content: str) -> MessageStamp | None:
        """Parse a message's content. None if it has no stamp."""
        parts = content.split(" ", 4)
        if len(parts) != 5:
            return None
        try:
            return cls(parts[0], int(parts[1]), int(parts[2]), int(parts[3]))
        except ValueError:
            return None


class MessageStamper:
    """Numbers one sender's messages consecutively from 0 in each epoch."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._epochs = itertools.count()
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Restart the numbering, after which recipients expect no continuity.

        Called when the sender joins a room, and when it does not know whether the room accepted its last message.
        """
        self._epoch = next(self._epochs)
        self._numbers = itertools.count()

    def next(self, now_ns: int) -> MessageStamp:
        return MessageStamp(self._sender, self._epoch, next(self._numbers), now_ns)


class DeliveryChecker:
    """Checks the server's guarantee for one member: each message of the room once, in the order of the room."""

    def __init__(self) -> None:
        self.last_seq: int | None = None
        """The highest sequence number received in the room."""
        self._received: dict[str, tuple[int, int]] = {}  # sender: epoch and number of the last message

    def reset(self) -> None:
        """Forget all received messages, because the member joins another room."""
        self.last_seq = None
        self._received.clear()

    def check(self, seq: int, stamp: MessageStamp | None) -> str | None:
        """Check a received message. Returns the violation, or None."""
        previous, self.last_seq = self.last_seq, max(seq, self.last_seq or seq)
        violation = self._check_number(stamp) if stamp is not None else None
        if previous is not None and seq <= previous:
            return "received twice" if seq == previous else "out of order"
        return violation

    def _check_number(self, stamp: MessageStamp) -> str | None:
        epoch, number = self._received.get(stamp.sender, (stamp.epoch, stamp.number - 1))
        self._received[stamp.sender] = stamp.epoch, stamp.number
        if epoch != stamp.epoch or number + 1 == stamp.number:
            return None
        return "messages are missing" if number < stamp.number else "out of order"
