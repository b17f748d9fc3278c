"""The state of a room that outlives a crash of its actor."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chat_actors.chat.fan_out import FanOut
from chat_actors.chat.journal_writer import WriterMessage
from chat_actors.chat.members import Member
from chat_actors.kernel import AnyRef, OwedAnswer, Ref
from chat_actors.protocol import Refusal
from chat_actors.storage import Appended, Draft, Journal


class Journaling(msgspec.Struct, frozen=True):
    """Where a room's messages are stored: the writer stores them, the journal reads them."""

    writer: Ref[WriterMessage]
    journal: Journal


class PendingPost(msgspec.Struct, frozen=True):
    """A message that is not stored yet, with its sender."""

    draft: Draft
    author: Member
    request_id: str | None = None
    answer: OwedAnswer[Refusal | None] | None = None
    """The answer owed to a `PostAs` request, if there was one."""


class PendingLeave(msgspec.Struct, frozen=True):
    """A member that is removed once its own messages are delivered, and the answer owed to its `LeaveRoom`."""

    session: AnyRef
    answer: OwedAnswer[None] | None


class RoomState:
    """Members, numbering and undelivered messages of a room. Passed to every incarnation of its actor."""

    __slots__ = ("drafts", "fan_out", "flush_requests", "in_flight", "is_open", "last_seq", "leaving", "unfinished")

    def __init__(self, room_id: str, last_seq: int) -> None:
        self.fan_out = FanOut(room_id)
        self.last_seq = last_seq
        """The sequence number of the last message that was added to `fan_out`."""
        self.drafts: list[PendingPost] = []
        self.in_flight: Sequence[PendingPost] = ()
        """The messages of the one append that the journal writer is storing."""
        self.unfinished: Appended | None = None
        """The answer to that append, if the room crashed while handling it."""
        self.leaving: list[PendingLeave] = []
        self.flush_requests: list[OwedAnswer[None]] = []
        self.is_open = False

    @property
    def has_pending(self) -> bool:
        """Whether any message is waiting to be stored."""
        return bool(self.drafts or self.in_flight)

    def has_pending_of(self, session: AnyRef) -> bool:
        """Whether a message of this session is waiting to be stored."""
        return any(pending.author.session is session for pending in (*self.in_flight, *self.drafts))
