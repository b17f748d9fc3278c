"""Replays the messages that a client missed, between the last one it received and the live stream.

Theory of operation. The session joins the room with a `HeldOutbox`: the room offers live messages from that moment,
and the outbox holds them. The room's answer has its last sequence number N. The session tells the client what is
missing (`make_rejoined`), then sends the numbers from `since` + 1 to N from the journal (`replay`), page by page, no
faster than the client reads. With `Replayed` the room then releases the held messages, which start at N + 1, so the
client's stream has neither a gap nor a duplicate. If the room removes the member meanwhile, it discards the held
messages, and the replay stops at its next block.

No state outlives a crash or a disconnect; the client starts again with the number it received last. If retention
removes messages during a replay, the replay fails, and the next rejoin reports them as lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from msgspec import structs

from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.protocol import CloseCode, encode, format_timestamp, messages
from chat_actors.storage import Journal, StoredMessage

PAGE_MESSAGES = 200
"""Messages in one page read from the journal."""

DRAIN_CHECK = 0.02
"""Seconds between two checks whether the client has read enough to receive the next page."""


READ_WITHIN = 30.0
"""Seconds without any read after which a client is closed during a replay.

The session handles nothing else during a replay, so neither the backlog limit nor the pings would detect that client.
"""


def chat_message(room_id: str, stored: StoredMessage) -> messages.ChatMessage:
    """Make the wire message for a stored one."""
    return messages.ChatMessage(
        user_id=stored.user_id,
        room_id=room_id,
        content=stored.content,
        timestamp=format_timestamp(stored.at),
        seq=stored.seq,
    )


class MissedRemoved(Exception):
    """Retention has removed messages during their replay. A client that rejoins receives the number of lost ones."""

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id

    def __str__(self) -> str:
        return f"retention removed messages of the room {self.room_id!r} during their replay"


async def make_rejoined(
    journal: Journal | None, room_id: str, user_id: str, request_id: str | None, since: int, last: int
) -> messages.Joined:
    """Make the `joined` message for a client that has received up to `since`, in a room whose last number is `last`.

    Raises `StorageError`.
    """
    is_known, kept, lost = since == last, 0, 0
    if journal is not None and since < last:
        between = await journal.missed(room_id, after=since, up_to=last)
        is_known, kept, lost = between.is_known, between.kept, between.lost
    # Unknown if there is no journal, or if `since` is from another numbering of the room: it is greater than `last`, or
    # an earlier run assigned it. The client then continues from `last`, so nothing is replayed.
    return structs.replace(
        messages.joined(user_id, room_id, request_id),
        seq=last,
        recovered=is_known and not lost,
        missed=kept + lost,
        lost=lost or None,
    )


async def replay(
    journal: Journal, room_id: str, outbox: Outbox, held: HeldOutbox, *, after: int, up_to: int, lost: int
) -> None:
    """Offer all messages with `after` < number <= `up_to`, page by page, no faster than the client reads.

    `lost` is the number of messages after `after` that `joined` has already reported as lost. Memory use is one page.
    Returns early if the outbox is closed, or once `held` is discarded. Raises `StorageError`, and `MissedRemoved`.
    """
    while after < up_to:
        page = await journal.page(room_id, after=after, before=up_to + 1, limit=PAGE_MESSAGES)
        next_seq = page.messages[0].seq if page.messages else up_to + 1
        if next_seq > after + 1 and (await journal.missed(room_id, after=after, up_to=next_seq - 1)).lost > lost:
            raise MissedRemoved(room_id)
        if not page.messages:
            return
        for block in _blocks(room_id, page.messages):
            if held.is_discarded or not outbox.offer(block):  # may be discarded in each wait
                return
            await _wait_until_read(outbox)
        after, lost = page.messages[-1].seq, 0


async def _wait_until_read(outbox: Outbox) -> None:
    """Wait until the backlog fits into one block, or the outbox is closed. Closes it with 4008 after `READ_WITHIN`."""
    # Polls: an event would add work to every write to every client, for this use alone.
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
