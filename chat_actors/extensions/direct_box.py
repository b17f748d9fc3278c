"""The order of a user's direct messages: which are unread, and which is removed next. Pure data; no I/O.

The messages with one other user are a conversation. If the box is full, the oldest message of the longest conversation
is removed. So a sender can only displace messages of conversations that are longer than the sender's own.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple


class _Entry(NamedTuple):
    seq: int
    is_received: bool


class Box:
    """Knows the numbers of all stored messages of one user, and the conversation of each.

    Attributes:
        last: The number of the newest message ever stored.
        seen: The number up to which the user has received the messages.
    """

    def __init__(self, user_id: str, keep: int, last: int, seen: int) -> None:
        self.last = last
        self.seen = seen
        self._user_id = user_id
        self._keep = keep
        self._seqs: list[int] = []
        self._conversations: defaultdict[str, deque[_Entry]] = defaultdict(deque)

    def add(self, seq: int, sender: str, to: str) -> Sequence[int]:
        """Add a message with a number above all others. Returns the numbers of the messages to remove."""
        insort(self._seqs, seq)
        self.last = max(self.last, seq)
        peer = to if sender == self._user_id else sender
        self._conversations[peer].append(_Entry(seq, sender != self._user_id))
        return [self._remove_next() for _ in range(len(self._seqs) - self._keep)]

    def _remove_next(self) -> int:
        conversations = self._conversations
        longest = max(conversations, key=lambda peer: (len(conversations[peer]), -conversations[peer][0].seq))
        seq = conversations[longest].popleft().seq
        if not conversations[longest]:
            del conversations[longest]
        del self._seqs[bisect_left(self._seqs, seq)]
        return seq

    def unread_of(self, sender: str) -> int:
        """The number of stored messages of a sender that the user has not received yet."""
        unread = 0
        for entry in reversed(self._conversations.get(sender, ())):
            if entry.seq <= self.seen:
                break
            unread += entry.is_received
        return unread

    def newest(self, count: int, before: int) -> Sequence[int]:
        """The numbers of the newest stored messages below a number, in order."""
        end = bisect_left(self._seqs, before)
        return self._seqs[max(0, end - count) : end]
