"""The journal port: the guarantees of every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from chat_actors.kernel import Request

PAGE_BYTES = 65_536
"""Maximum bytes of content (UTF-8) in one page, so that one page cannot overflow a client's backlog.

A single larger message is a page of its own.
"""

PRUNE_STEP = 500
"""Maximum number of messages that one step of pruning removes."""

DEDUPE_SECONDS = 86_400.0
"""Minimum number of seconds for which a `client_msg_id` is recognized."""


class Draft(msgspec.Struct, frozen=True):
    """A message that is not stored yet."""

    user_id: str
    content: str
    client_msg_id: str | None = None
    """The client's id of the message. A second draft of this user in this room with the same id is not stored."""


class StoredMessage(msgspec.Struct, frozen=True):
    """A message with its number, which orders it within its room."""

    seq: int
    user_id: str
    content: str
    at: datetime
    """Aware, UTC, in whole milliseconds."""


class Receipt(msgspec.Struct, frozen=True):
    """The result of one draft. A repeated draft has the number and the time of the first."""

    seq: int
    at: datetime
    is_new: bool


class Appended(msgspec.Struct, frozen=True):
    """The answer to an `Append`."""

    messages: Sequence[StoredMessage]
    """The messages to deliver to the room's members now, in this order."""

    receipts: Sequence[Receipt]
    """One for each draft, in the order of the drafts."""


class Append(Request[Appended], msgspec.Struct, frozen=True):
    """Store these drafts in a room, in this order."""

    room_id: str
    drafts: Sequence[Draft]


class Committed(msgspec.Struct, frozen=True):
    """Sent to a room: these messages have been stored in it, by this server or another one, and are next in its order.

    A journal that several servers share reports every commit like this, also that of the same server, and answers an
    `Append` only with receipts. So each server has the same order, and a room handles both kinds of journal alike.
    """

    messages: Sequence[StoredMessage]


class Extent(msgspec.Struct, frozen=True):
    """The numbers of a room's stored messages: from `first` to `last`. In a room without any, `first` is above `last`.

    `last` is the highest number ever assigned, also if its message has been removed; `base` if there was none.
    """

    first: int = 1
    last: int = 0
    base: int = 0
    """The room's numbers start above this one, which is an offset and not a number of messages."""

    @property
    def was_used(self) -> bool:
        """Whether the room ever had a message, as far as the journal knows."""
        return self.last > self.base


class Page(msgspec.Struct, frozen=True):
    """Consecutive messages of a room, oldest first."""

    messages: Sequence[StoredMessage]
    more: bool
    """Whether there are more in the direction of reading."""


class Missed(msgspec.Struct, frozen=True):
    """How many messages of a room a client has missed."""

    kept: int
    """Missed messages that are still stored."""

    lost: int
    """Missed messages that have been removed."""

    is_known: bool = True
    """False if an earlier run of the server assigned the number `after`: then both counts are 0."""


class Retention(msgspec.Struct, frozen=True):
    """The limits on the messages stored for each room; 0: no limit. A message is removed once either limit applies."""

    keep_messages: int = 0
    """The number of newest messages to keep."""

    keep_days: float = 0.0
    """The age of the oldest message to keep, in days."""


class Journal(Protocol):
    """The messages of all rooms.

    * **Order.** Within a room, each message gets a number above all numbers ever assigned in it, also after restarts
      and removals. Drafts are numbered in the order given.
    * **Atomicity.** A batch is stored as a whole or not at all, also if the process is killed or the call is cancelled.
    * **Durability.** A batch survives a crash of the process once `commit` has returned (adapters that store nothing on
      disk say so). Each adapter documents what survives a power cut.
    * **Deduplication.** A draft whose `client_msg_id` its user has used in this room within `DEDUPE_SECONDS` stores
      nothing and gets the receipt of the first; also within one batch.
    * **Cost.** The cost of a page depends neither on its position nor on the number of stored messages.

    Calls may overlap. A read never waits for a commit to end, and sees every commit that returned before it began. A
    call that fails raises `StorageError`, and no other exception; it has changed nothing, and a later call may succeed.
    """

    async def commit(self, batch: Sequence[Append], at: datetime) -> Sequence[Appended]:
        """Store a batch with the time `at`, and return one answer for each append, in the order of the batch."""

    async def extent(self, room_id: str) -> Extent:
        """The numbers of the messages that are stored for this room."""

    async def page(self, room_id: str, *, after: int | None = None, before: int | None = None, limit: int) -> Page:
        """At most `limit` messages (at least 1) and `PAGE_BYTES` of content, with `after` < number < `before`.

        With `after`, these are the oldest of that range, for a client that catches up; without it the newest, for one
        that scrolls back. A page is empty only if the range is.
        """

    async def missed(self, room_id: str, *, after: int, up_to: int) -> Missed:
        """How many messages with `after` < number <= `up_to` are stored, and how many have been removed.

        With `after` = 0, counts from the first message that the journal ever had.
        """

    async def receipt(self, room_id: str, user_id: str, client_msg_id: str) -> Receipt | None:
        """The receipt that a commit of a draft with this id would return, if its user has used it before; else None."""

    async def prune(self, retention: Retention, now: datetime) -> bool:
        """Do one small step: remove at most `PRUNE_STEP` messages beyond the limits. Returns whether more remain.

        A step is short, since a commit may wait for it. It also removes `client_msg_id`s older than `DEDUPE_SECONDS`.
        """

    async def aclose(self) -> None:
        """Close files and connections. Every other call then raises `StorageError`; a second close does nothing."""
