"""What outlives a crash of a room's actor."""

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
    """Where a room's messages are kept: stored by the writer, read from the journal."""

    writer: Ref[WriterMessage]
    journal: Journal


class PendingPost(msgspec.Struct, frozen=True):
    """A message on its way into the journal, and whose it is."""

    draft: Draft
    author: Member
    request_id: str | None = None
    answer: OwedAnswer[Refusal | None] | None = None
    """To whom it is owed whether it was said, if not to its author's client."""


class PendingLeave(msgspec.Struct, frozen=True):
    """A connection that goes once its own messages have been heard, and who waits for that."""

    session: AnyRef
    answer: OwedAnswer[None] | None


class RoomState:
    """Members stay in their room when it crashes, its numbering goes on, and no message on its way is lost."""

    __slots__ = ("drafts", "fan_out", "flush_requests", "in_flight", "is_open", "last_seq", "leaving", "unfinished")

    def __init__(self, room_id: str, last_seq: int) -> None:
        self.fan_out = FanOut(room_id)
        self.last_seq = last_seq
        """The number of the last message that has its place among what is handed out."""
        self.drafts: list[PendingPost] = []
        self.in_flight: Sequence[PendingPost] = ()
        """Those that the journal has been asked to store: one append at a time."""
        self.unfinished: Appended | None = None
        """What the journal has answered, if the room crashed on it."""
        self.leaving: list[PendingLeave] = []
        self.flush_requests: list[OwedAnswer[None]] = []
        self.is_open = False

    @property
    def is_settled(self) -> bool:
        """Whether no message is on its way into the journal."""
        return not self.drafts and not self.in_flight

    def has_pending_of(self, session: AnyRef) -> bool:
        """Whether a message of this connection is on its way into the journal."""
        return any(pending.author.session is session for pending in (*self.in_flight, *self.drafts))
