"""What somebody has missed, between what they have heard and what they will hear live."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from msgspec import structs

from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.outbox import Block, Closing, Outbox
from chat_actors.protocol import CloseCode, encode, format_timestamp, messages, retry_after, too_slow
from chat_actors.storage import Journal, StoredMessage

PAGE_MESSAGES = 200
"""Messages that are read from the journal at once."""

DRAIN_CHECK = 0.02
"""Seconds between two looks at whether a client has read enough to be sent the next page."""


READ_WITHIN = 30.0
"""Seconds in which a client that catches up must have read something, or it is closed.

While it is sent what it missed nothing else is done for it, so neither its backlog nor its pings would ever tell.
"""


class HeldOutbox:
    """An outbox in front of another: what is offered waits until `release`, then follows; later it goes straight on.

    So a room offers from the moment in which somebody enters, while that one first gets what was before. Bounded by
    `backlog_bytes` of payload (0: unbounded): beyond, the client is closed with 4008, and has come closer meanwhile.
    """

    def __init__(self, outbox: Outbox, backlog_bytes: int) -> None:
        self._outbox = outbox
        self._bound = backlog_bytes
        self._blocks: list[Block] | None = []
        self._size = 0

    def offer(self, block: Block) -> bool:
        if self._blocks is None or self._outbox.closing is not None:
            return self._outbox.offer(block)
        self._size += block.size
        if self._bound and self._size > self._bound:
            self._outbox.close(CloseCode.TOO_SLOW, too_slow(self._bound))
            return False
        self._blocks.append(block)
        return True

    def release(self) -> None:
        """Let go of what waits, and of whatever comes after."""
        blocks, self._blocks = self._blocks or [], None
        for block in blocks:
            self._outbox.offer(block)

    def close(self, code: CloseCode, reason: str) -> None:
        self.release()
        self._outbox.close(code, reason)

    @property
    def closing(self) -> Closing | None:
        return self._outbox.closing

    @property
    def backlog(self) -> int:
        return self._outbox.backlog + (self._size if self._blocks is not None else 0)


def chat_message(room_id: str, stored: StoredMessage) -> messages.ChatMessage:
    """A stored message as it goes over the wire."""
    return messages.ChatMessage(
        user_id=stored.user_id,
        room_id=room_id,
        content=stored.content,
        timestamp=format_timestamp(stored.at),
        seq=stored.seq,
    )


async def make_rejoined(
    journal: Journal | None, room_id: str, user_id: str, request_id: str | None, since: int, last: int
) -> messages.Joined:
    """What to tell somebody who knows a room up to `since`, now that it is at `last`. Raises `StorageError`."""
    is_known, kept, lost = since == last, 0, 0
    if journal is not None and since < last:
        between = await journal.missed(room_id, after=since, up_to=last)
        is_known, kept, lost = True, between.kept, between.lost
    # Not known: no journal, or another one than ours, whose numbers went further. Nobody can say what there was.
    return structs.replace(
        messages.joined(user_id, room_id, request_id),
        seq=last,
        recovered=is_known and not lost,
        missed=kept + lost,
        lost=lost or None,
    )


async def replay(journal: Journal, room_id: str, outbox: Outbox, *, after: int, up_to: int, lost: int) -> None:
    """Offer all messages with `after` < number <= `up_to`, page by page, no faster than the client reads.

    The client has been told that the first `lost` of them are not kept.

    Holds one page at a time, whatever there is to be read. Ends early if the outbox is closed; and closes it if some of
    it is removed while the client reads: it then comes back and is told what is lost. Raises `StorageError`.
    """
    while after < up_to:
        page = await journal.page(room_id, after=after, before=up_to + 1, limit=PAGE_MESSAGES)
        next_one = page.messages[0].seq if page.messages else up_to + 1
        if next_one > after + 1 and (await journal.missed(room_id, after=after, up_to=next_one - 1)).lost > lost:
            outbox.close(CloseCode.SERVICE_RESTART, retry_after(0))
            return
        if not page.messages:
            return
        for block in _blocks(room_id, page.messages):
            if not outbox.offer(block):
                return
            await _wait_until_read(outbox)
        after, lost = page.messages[-1].seq, 0


async def _wait_until_read(outbox: Outbox) -> None:
    """Until the client has read almost all, or the outbox is closed: with 4008, if it reads nothing for too long."""
    # Looked at from time to time: an event for it would cost each write to each client, for this alone.
    least, since = outbox.backlog, anyio.current_time()
    while outbox.backlog > BLOCK_BYTES and outbox.closing is None:
        await anyio.sleep(DRAIN_CHECK)
        if outbox.backlog < least:
            least, since = outbox.backlog, anyio.current_time()
        elif anyio.current_time() - since > READ_WITHIN:
            outbox.close(CloseCode.TOO_SLOW, f"too slow: nothing was read within {READ_WITHIN:g} s; reconnect")


def _blocks(room_id: str, stored: Sequence[StoredMessage]) -> list[Block]:
    blocks: list[list[bytes]] = [[]]
    size = 0
    for message in stored:
        payload = encode(chat_message(room_id, message))
        size += len(payload)
        if blocks[-1] and size > BLOCK_BYTES:
            blocks.append([])
            size = len(payload)
        blocks[-1].append(payload)
    return [Block(payloads) for payloads in blocks if payloads]
