"""An outbox that holds the live messages of a member until its replay has ended."""

from __future__ import annotations

from chat_actors.chat.outbox import Block, Closing, Outbox
from chat_actors.protocol import CloseCode, too_slow


class HeldOutbox:
    """An outbox in front of another one. It holds blocks until `release`, and passes on later ones directly.

    The bound is `backlog_bytes` of payload (0: unbounded). An overflow closes the client with 4008; its next rejoin
    starts closer to the live stream, since it has received a part of the replay.
    """

    def __init__(self, outbox: Outbox, backlog_bytes: int) -> None:
        self._outbox = outbox
        self._bound = backlog_bytes
        self._blocks: list[Block] | None = []
        self._size = 0
        self.is_discarded = False

    def offer(self, block: Block) -> bool:
        if self.is_discarded:
            return False
        if self._blocks is None or self._outbox.closing is not None:
            return self._outbox.offer(block)
        self._size += block.size
        if self._bound and self._size > self._bound:
            self._outbox.close(CloseCode.TOO_SLOW, too_slow(self._bound))
            return False
        self._blocks.append(block)
        return True

    def release(self) -> Outbox:
        """Pass on the held blocks, and every later one directly. Returns the outbox behind this one."""
        blocks, self._blocks = self._blocks or [], None
        for block in blocks:
            self._outbox.offer(block)
        return self._outbox

    def discard(self) -> None:
        """Drop the held blocks, and refuse every later one: the member is removed. The replay stops."""
        self._blocks, self.is_discarded = None, True

    def close(self, code: CloseCode, reason: str) -> None:
        self.release()
        self._outbox.close(code, reason)

    @property
    def closing(self) -> Closing | None:
        return self._outbox.closing

    @property
    def backlog(self) -> int:
        return self._outbox.backlog + (self._size if self._blocks is not None else 0)
