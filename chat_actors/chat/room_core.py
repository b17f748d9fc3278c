"""A room as pure state: it neither waits, nor reads a clock, nor sends a message. It outlives a crash of its actor.

Theory of operation. The core owns the membership, the numbering and the posts that are not stored yet. Its operations
change this state, and offer blocks to the members' outboxes, which neither wait nor raise. What else is to be done they
return as *effects*, which `RoomActor` executes.

A post is *drafted*, then *in flight* (one append at a time is with the journal writer), then numbered by the journal,
broadcast, and accepted. Without a journal the room numbers a post itself and broadcasts it at once (`post_now`).

Invariants:

* Messages are broadcast in sequence order, each once: `broadcast` skips those up to `last_seq`.
* A member that leaves is removed after its own posts are broadcast. `remove` takes a member out at once: it receives
  what was broadcast before, except what a `HeldOutbox` holds, and its posts that wait are still stored.
* Each join has a number, so that a session can tell a late notice about an earlier stay from one about this one.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from chat_actors.chat import events
from chat_actors.chat.fan_out import FanOut
from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.members import Member, Members
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.recovery import chat_message
from chat_actors.kernel import AnyRef, OwedAnswer
from chat_actors.protocol import Refusal, encode, format_timestamp, messages, refusals
from chat_actors.storage import Append, Appended, Draft, StoredMessage


class PendingPost(msgspec.Struct, frozen=True):
    """A message that is not stored yet, with its sender."""

    draft: Draft
    author: Member
    request_id: str | None = None
    answer: OwedAnswer[Refusal | None] | None = None
    """The answer owed to a `PostAs` request, if there was one."""
    posted_by: str = ""
    """The extension whose room kind posts, if one does."""


class Posted(msgspec.Struct, frozen=True):
    """A message that was broadcast, for the policy."""

    message: StoredMessage
    posted_by: str
    """As in `PendingPost`."""


class PendingLeave(msgspec.Struct, frozen=True):
    """A member that is removed once its own messages are delivered, and the answer owed to its `LeaveRoom`."""

    session: AnyRef
    answer: OwedAnswer[None] | None


class Publish(msgspec.Struct, frozen=True):
    """Publish an event on the event bus."""

    event: msgspec.Struct


class MemberLeft(msgspec.Struct, frozen=True):
    """The room has no member with this session any more: stop watching it."""

    session: AnyRef


class UserJoined(msgspec.Struct, frozen=True):
    """The first connection of a user has joined."""

    user_id: str


class UserLeft(msgspec.Struct, frozen=True):
    """The last connection of a user has left."""

    user_id: str


class NotifyRemoved(msgspec.Struct, frozen=True):
    """Notify a session that it was removed, and why."""

    session: AnyRef
    refusal: Refusal


class NotifyNotAMember(msgspec.Struct, frozen=True):
    """Notify a session that its post was refused, since it is not a member."""

    session: AnyRef
    request_id: str | None


class Resolve(msgspec.Struct, frozen=True):
    """Give an answer that is owed."""

    answer: OwedAnswer[Any]
    value: Any


class ReleaseSlots(msgspec.Struct, frozen=True):
    """Release the mailbox slots that were reserved for drafts."""

    count: int


class CloseIfEmpty(msgspec.Struct, frozen=True):
    """Close the room if no member keeps it open. Also the message of a timer."""


Effect: TypeAlias = (
    Publish
    | MemberLeft
    | UserJoined
    | UserLeft
    | NotifyRemoved
    | NotifyNotAMember
    | Resolve
    | ReleaseSlots
    | CloseIfEmpty
)


class RoomCore:
    """Members, numbering and undelivered messages of a room. Passed to every incarnation of its actor."""

    __slots__ = (
        "_longest_content", "_pending_of", "drafts", "fan_out", "flush_requests", "in_flight", "is_observed",
        "is_open", "joins", "keeps_posted", "last_seq", "leaving", "members", "posted", "room_id", "unfinished",
    )  # fmt: skip

    def __init__(self, room_id: str, last_seq: int, longest_content: int = 0) -> None:
        """`longest_content`: the most characters of any post, whoever posts it; 0: no limit."""
        self.room_id = room_id
        self._longest_content = longest_content
        self.fan_out = FanOut(room_id)
        self.members: Members = self.fan_out.members
        self.last_seq = last_seq
        """The sequence number of the last message that was broadcast."""
        self.joins = 0
        """The number of the last join."""
        self.drafts: list[PendingPost] = []
        self.in_flight: Sequence[PendingPost] = ()
        """The messages of the one append that the journal writer is storing."""
        self.unfinished: Appended | None = None
        """The answer to that append, if the room crashed while handling it."""
        self._pending_of: Counter[AnyRef] = Counter()
        """How many messages of each session are drafts or in flight."""
        self.leaving: list[PendingLeave] = []
        self.flush_requests: list[OwedAnswer[None]] = []
        self.is_open = False
        self.is_observed = False
        """Whether `broadcast` returns an event for each message."""
        self.keeps_posted = False
        """Whether `broadcast` adds each message to `posted`."""
        self.posted: deque[Posted] = deque()
        """The messages that the policy is still to be told about."""

    # -- members -------------------------------------------------------------------------------------------------------

    def join(self, member: Member, joined: messages.Joined | None) -> Sequence[Effect]:
        """Add a member, or replace its outbox. Offers it `joined`, and announces it to the others.

        A member that needs a replay joins with a `HeldOutbox` and without `joined`, up to `replayed`. A leave of the
        same session that still waits for posts is done: it was about the earlier stay.
        """
        self.joins += 1
        effects: list[Effect] = []
        for each in [each for each in self.leaving if each.session is member.session]:
            self.leaving.remove(each)
            if each.answer is not None:
                effects.append(Resolve(each.answer, None))
        if self.fan_out.join(member, joined):
            effects.append(UserJoined(member.user_id))
        return effects

    def replayed(self, session: AnyRef) -> None:
        """The member has received its replay: release what its outbox holds, and remove that outbox."""
        member = self.members.get(session)
        if member is not None and isinstance(member.outbox, HeldOutbox):
            self.members.add(msgspec.structs.replace(member, outbox=member.outbox.release()))

    def leave(self, session: AnyRef, answer: OwedAnswer[None] | None = None) -> Sequence[Effect]:
        """Remove a member once its own posts are broadcast; `answer` is resolved then."""
        if self.has_pending_of(session):
            self.leaving.append(PendingLeave(session, answer))
            return ()
        effects = [*self._drop(session), CloseIfEmpty()]
        return effects if answer is None else [*effects, Resolve(answer, None)]

    def remove(self, user_id: str, refusal: Refusal) -> Sequence[Effect]:
        """Remove all connections of a user at once, then notify their sessions."""
        effects: list[Effect] = []
        for member in [member for member in self.members if member.user_id == user_id]:
            effects += self._drop(member.session)
            effects.append(NotifyRemoved(member.session, refusal))
        return [*effects, CloseIfEmpty()] if effects else ()

    def drop(self, session: AnyRef) -> Sequence[Effect]:
        """Remove a member at once, without a notice: its session has ended, or does not know that it joined."""
        return [*self._drop(session), CloseIfEmpty()]

    def _drop(self, session: AnyRef) -> Sequence[Effect]:
        member = self.members.get(session)
        if member is not None and isinstance(member.outbox, HeldOutbox):
            member.outbox.discard()
        user_id = self.fan_out.leave(session)
        return (MemberLeft(session),) if user_id is None else (MemberLeft(session), UserLeft(user_id))

    # -- posts ---------------------------------------------------------------------------------------------------------

    def refusal_of_size(self, content: str) -> Refusal | None:
        """The refusal of a post that is too long. The one check for users, bots and all posts of extensions."""
        limit = self._longest_content
        return refusals.content_too_long(limit) if limit and len(content) > limit else None

    @property
    def has_pending(self) -> bool:
        """Whether any message is waiting to be stored."""
        return bool(self.drafts or self.in_flight)

    def has_pending_of(self, session: AnyRef) -> bool:
        """Whether a message of this session is waiting to be stored."""
        return self._pending_of[session] > 0

    def has_pending_by(self, user_id: str) -> bool:
        """Whether a message of this user is waiting to be stored."""
        return any(pending.draft.user_id == user_id for pending in self._pending())

    def pending_repeated(self, user_id: str, client_msg_id: str) -> Draft | None:
        """The draft of this user with this id that is waiting to be stored, if there is one."""
        drafts = (pending.draft for pending in self._pending())
        return next((each for each in drafts if (each.user_id, each.client_msg_id) == (user_id, client_msg_id)), None)

    def _pending(self) -> Iterator[PendingPost]:
        return itertools.chain(self.in_flight, self.drafts)

    def draft(self, pending: PendingPost) -> None:
        """Add a post to those that the next append stores."""
        self.drafts.append(pending)
        self._pending_of[pending.author.session] += 1

    def _settle(self) -> Sequence[PendingPost]:
        """Take out the posts that were in flight."""
        settled, self.in_flight, self.unfinished = self.in_flight, (), None
        for pending in settled:
            self._pending_of[pending.author.session] -= 1
            if not self._pending_of[pending.author.session]:
                del self._pending_of[pending.author.session]
        return settled

    def post_now(
        self, user_id: str, content: str, at: datetime, posted_by: str = ""
    ) -> tuple[StoredMessage, Sequence[Effect]]:
        """Number a message and broadcast it, in a room without a journal."""
        stored = StoredMessage(self.last_seq + 1, user_id, content, at)
        return stored, self.broadcast((stored,), {stored.seq: posted_by})

    def next_append(self) -> Append | None:
        """The drafts, which now are in flight. None if there are none, or if an append is in flight already."""
        if not self.drafts or self.in_flight:
            return None
        self.in_flight, self.drafts = self.drafts, []
        return Append(self.room_id, [pending.draft for pending in self.in_flight])

    def stored(self, appended: Appended) -> Sequence[Effect]:
        """The append in flight is stored: broadcast its messages, and accept them."""
        posted_by = {
            receipt.seq: pending.posted_by
            for pending, receipt in zip(self.in_flight, appended.receipts, strict=True)
            if pending.posted_by
        }
        effects = [*self.broadcast(appended.messages, posted_by)]
        accepted: defaultdict[Outbox, list[bytes]] = defaultdict(list)
        in_flight = self._settle()
        for pending, receipt in zip(in_flight, appended.receipts, strict=True):
            if pending.draft.client_msg_id is not None:
                answer = make_accepted(pending.draft.client_msg_id, pending.request_id, receipt.seq, receipt.at)
                accepted[pending.author.outbox].append(encode(answer))
            if pending.answer is not None:
                effects.append(Resolve(pending.answer, None))
        for outbox, payloads in accepted.items():
            outbox.offer(Block(payloads))
        return [*effects, ReleaseSlots(len(in_flight)), *self._release_waiters()]

    def broadcast(
        self, stored: Sequence[StoredMessage], posted_by: Mapping[int, str] | None = None
    ) -> Sequence[Effect]:
        """Add messages to the fan-out in sequence order. Skips those that were added before.

        `posted_by` names the extension of each message that a room kind posted, by number. Without it, the messages
        are from the journal, and the posts in flight tell.
        """
        effects: list[Effect] = []
        for message in stored:
            if message.seq <= self.last_seq:
                continue
            self.fan_out.add(chat_message(self.room_id, message))
            self.last_seq = message.seq
            if self.keeps_posted:
                name = self._posted_by(message) if posted_by is None else posted_by.get(message.seq, "")
                self.posted.append(Posted(message, name))
            if self.is_observed:
                posted = events.MessagePosted(message.user_id, self.room_id, message.seq, message.at, message.content)
                effects.append(Publish(posted))
        return effects

    def _posted_by(self, message: StoredMessage) -> str:
        for pending in self.in_flight:
            draft = pending.draft
            if pending.posted_by and (draft.user_id, draft.content) == (message.user_id, message.content):
                return pending.posted_by
        return ""

    def failed(self, refusal: Refusal = refusals.NOT_STORED) -> Sequence[Effect]:
        """The append in flight is not stored: refuse its posts."""
        in_flight = self._settle()
        effects = [effect for pending in in_flight for effect in self._refuse_pending(pending, refusal)]
        return [*effects, ReleaseSlots(len(in_flight)), *self._release_waiters()]

    def restarted(self) -> Sequence[Effect]:
        """Continue after a crash: finish the append that was being handled, and release those that waited for it."""
        return self._release_waiters() if self.unfinished is None else self.stored(self.unfinished)

    def ended(self, *, has_failed: bool) -> tuple[Append | None, Sequence[Effect]]:
        """The room ends: deliver what is numbered. Drafts are refused after a failure, and are appended otherwise."""
        self.fan_out.flush()
        drafts, self.drafts = self.drafts, []
        if has_failed:
            return None, [effect for each in drafts for effect in self._refuse_pending(each, refusals.ROOM_FAILED)]
        return (Append(self.room_id, [pending.draft for pending in drafts]) if drafts else None), ()

    def refuse(self, author: Member, refusal: Refusal, request_id: str | None) -> None:
        """Send an error to the author of a post."""
        author.outbox.offer(Block.of(refusal.as_error(request_id)))

    def _refuse_pending(self, pending: PendingPost, refusal: Refusal) -> Sequence[Effect]:
        self.refuse(pending.author, refusal, pending.request_id)
        return () if pending.answer is None else (Resolve(pending.answer, refusal),)

    # -- waiting for posts ---------------------------------------------------------------------------------------------

    def flush_requested(self, answer: OwedAnswer[None]) -> None:
        """Resolve `answer` once no post is pending."""
        self.flush_requests.append(answer)

    def _release_waiters(self) -> Sequence[Effect]:
        """Remove leaving members whose posts are broadcast, and answer flush requests if nothing is pending."""
        effects: list[Effect] = []
        leaving, self.leaving = self.leaving, []
        for each in leaving:
            effects += self.leave(each.session, each.answer)
        if not self.has_pending:
            self.fan_out.flush()
            effects += [Resolve(request, None) for request in self.flush_requests]
            self.flush_requests = []
        return effects


def make_accepted(client_msg_id: str, request_id: str | None, seq: int, at: datetime) -> messages.Accepted:
    """The answer to a post that is numbered."""
    return messages.Accepted(client_msg_id, seq, format_timestamp(at), request_id=request_id)
