"""The journal port: what every storage of messages promises."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from chat_actors.kernel import Request

PAGE_BYTES = 65_536
"""Bytes of content (UTF-8) after which a page ends early: one page must not flood the one who asked for it."""

PRUNE_STEP = 500
"""Messages that one step of pruning removes at most."""

DEDUPE_SECONDS = 86_400.0
"""For how long at least a `client_msg_id` is known again."""


class Draft(msgspec.Struct, frozen=True):
    """A message that is not stored yet."""

    user_id: str
    content: str
    client_msg_id: str | None = None
    """The sender's own name for it: what comes again under it, from this user in this room, is not stored again."""


class StoredMessage(msgspec.Struct, frozen=True):
    """A message with its place in its room's one order."""

    seq: int
    user_id: str
    content: str
    at: datetime
    """Aware, UTC, in whole milliseconds."""


class Receipt(msgspec.Struct, frozen=True):
    """What became of a draft. One that had been stored before keeps the number and the time that it had."""

    seq: int
    at: datetime
    is_new: bool


class Appended(msgspec.Struct, frozen=True):
    """The answer to an `Append`."""

    messages: Sequence[StoredMessage]
    """What is to be delivered to the room's members now, in this order."""

    receipts: Sequence[Receipt]
    """One for each draft, in the order of the drafts."""


class Append(Request[Appended], msgspec.Struct, frozen=True):
    """Store these drafts in a room, in this order."""

    room_id: str
    drafts: Sequence[Draft]


class Committed(msgspec.Struct, frozen=True):
    """Told to a room: these have been stored in it, here or elsewhere, and come now in its order.

    A journal that many servers share tells every commit like this, one's own included, and then answers the `Append`
    with receipts alone; so each server has the same order and the room's code does not know the difference.
    """

    messages: Sequence[StoredMessage]


class Extent(msgspec.Struct, frozen=True):
    """Which numbers of a room there are: from `first` to `last`. A room that holds none has `first` above `last`.

    `last` is the highest number ever given, whatever has been removed since; 0 in a room that never held a message.
    """

    first: int = 1
    last: int = 0


class Page(msgspec.Struct, frozen=True):
    """Some messages of a room, oldest first."""

    messages: Sequence[StoredMessage]
    more: bool
    """Whether there are more in the direction of reading."""


class Missed(msgspec.Struct, frozen=True):
    """What somebody has missed who knows a room up to some number."""

    kept: int
    """How many messages are still there to be read."""

    lost: int
    """How many have been removed by then."""


class Retention(msgspec.Struct, frozen=True):
    """What is kept of each room. 0 keeps everything."""

    keep_messages: int = 0
    """The newest so many."""

    keep_days: float = 0.0
    """Those that are not older."""


class Journal(Protocol):
    """The messages of all rooms.

    * **Order.** Within a room each message gets a number above all that were ever given in it, over restarts and
      removals too; drafts in the order given.
    * **Atomicity.** A batch is stored as a whole or not at all, also if the process is killed or the call cancelled.
    * **Durability.** What `commit` has returned survives the end of the process, however it ends (adapters that keep
      nothing on disk say so; what survives a power cut, each says).
    * **Once.** A draft whose `client_msg_id` its user has used in this room within `DEDUPE_SECONDS` stores nothing and
      gets the receipt of the first; within one batch too.
    * **Cost.** A page costs the same wherever it lies and however much is stored.

    Calls may overlap; reading never waits for a commit to end, and sees all that was returned before it began.
    `StorageError` is the only exception of a storage that fails; nothing has changed then, and a later call may work.
    """

    async def commit(self, batch: Sequence[Append], at: datetime) -> Sequence[Appended]:
        """Store a batch, stamped with `at`. Answers one for one; of one room, appends in the order of the batch."""

    async def extent(self, room_id: str) -> Extent:
        """Which numbers of this room there are."""

    async def page(self, room_id: str, *, after: int | None = None, before: int | None = None, limit: int) -> Page:
        """At most `limit` messages (at least 1), and at most about `PAGE_BYTES`, with `after` < number < `before`.

        With `after` the oldest of these, as who catches up reads; without it the newest, as who scrolls back reads.
        """

    async def missed(self, room_id: str, *, after: int, up_to: int) -> Missed:
        """How many messages there are and have been with `after` < number <= `up_to`."""

    async def prune(self, retention: Retention, now: datetime) -> bool:
        """One small step: remove at most `PRUNE_STEP` messages that need not be kept. Whether there is more to do now.

        Short enough for a commit to wait for. Also forgets each `client_msg_id` that is older than `DEDUPE_SECONDS`.
        """

    async def aclose(self) -> None:
        """Let go of files. Everything else raises `StorageError` afterwards; closing again does nothing."""
