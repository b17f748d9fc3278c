"""A room as pure state: it neither waits, nor reads a clock, nor sends a message. It outlives a crash of its actor.

Theory of operation. The core owns the membership, the numbering and the posts that are not stored yet. Its operations
change this state, offer blocks to the members' outboxes and give the answers that are owed, which neither waits nor
raises. What else is to be done they return as *effects*, which `RoomActor` executes.

A post is *drafted*, then *in flight* (one append at a time is with the journal writer), then numbered by the journal,
broadcast, and accepted. Without a journal the room numbers a post itself and broadcasts it at once (`post_now`). An
append whose outcome is unknown is *in doubt*: its posts stay in flight until the journal has been read.

Invariants:

* Messages are broadcast in sequence order, each once: `broadcast` skips those up to `last_seq`.
* A member that leaves is removed after its own posts are broadcast. `remove` takes a member out at once: it receives
  what was broadcast before, except what a `HeldOutbox` holds, and its posts that wait are still stored.
* Each join has a number, so that a session can tell a late notice about an earlier stay from one about this one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from chat_actors.chat import events
from chat_actors.chat.fan_out import FanOut
from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.members import Member, Members
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.pending_posts import PendingPost, PendingPosts
from chat_actors.chat.recovery import chat_message
from chat_actors.chat.room_messages import MemberRemoved, NotAMember
from chat_actors.kernel import AnyRef, OwedAnswer
from chat_actors.protocol import Refusal, encode, format_timestamp, messages, refusals
from chat_actors.storage import Append, Appended, Receipt, StoredMessage


class Posted(msgspec.Struct, frozen=True):
    """A message that was broadcast, for the policy."""

    message: StoredMessage
    posted_by: str
    """As in `PendingPost`."""


class PendingLeave(msgspec.Struct, frozen=True):
    """A member that is removed once its own messages are delivered, and the answer owed to its `LeaveRoom`."""

    session: AnyRef
    answer: OwedAnswer[None] | None


class MemberLeft(msgspec.Struct, frozen=True):
    """The room has no member with this session any more: stop watching it."""

    session: AnyRef


class NotifyRemoved(msgspec.Struct, frozen=True):
    """Notify a session that it was removed, and why."""

    session: AnyRef
    refusal: Refusal


class ReleaseSlots(msgspec.Struct, frozen=True):
    """Release the mailbox slots that were reserved for drafts."""

    count: int


class CloseIfEmpty(msgspec.Struct, frozen=True):
    """Close the room if nothing keeps it open. Also the message of a timer."""


Published: TypeAlias = events.MessagePosted | events.UserJoined | events.UserLeft
Effect: TypeAlias = Published | MemberLeft | NotifyRemoved | ReleaseSlots | CloseIfEmpty


class RoomCore:
    """Members, numbering and undelivered messages of a room. Passed to every incarnation of its actor."""

    __slots__ = (
        "_longest_content", "append_after", "fan_out", "flush_requests", "has_post_hooks", "is_in_doubt", "is_observed",
        "is_open", "joins", "last_seq", "leaving", "members", "notices", "pending", "posted", "room_id", "subscribers",
        "unfinished",
    )  # fmt: skip

    def __init__(self, room_id: str, last_seq: int, longest_content: int = 0) -> None:
        """`longest_content`: the most characters of any post, whoever posts it; 0: no limit."""
        self.room_id = room_id
        self._longest_content = longest_content
        self.fan_out = FanOut(room_id)
        self.members: Members = self.fan_out.members
        self.subscribers: dict[str, dict[AnyRef, Outbox]] = {}
        """The members that subscribed to the messages of each extension's room kind."""
        self.last_seq = last_seq
        """The sequence number of the last message that was broadcast."""
        self.joins = 0
        """The number of the last join."""
        self.pending = PendingPosts()
        self.append_after = last_seq
        """The last sequence number as the append in flight began."""
        self.is_in_doubt = False
        """Whether it is over with an unknown outcome."""
        self.unfinished: Appended | None = None
        """The answer to it, if the room crashed while handling the answer."""
        self.leaving: list[PendingLeave] = []
        self.notices: list[tuple[AnyRef, MemberRemoved | NotAMember]] = []
        """Notices for sessions whose mailboxes were full."""
        self.flush_requests: list[OwedAnswer[None]] = []
        self.is_open = False
        self.is_observed: Callable[[], bool] = lambda: False
        """Whether `broadcast` returns an event for each message."""
        self.has_post_hooks = False
        """Whether the policy decides on posts and learns of them: `broadcast` adds each message to `posted`."""
        self.posted: deque[Posted] = deque()
        """The messages that the policy is still to be told about."""

    @property
    def is_needed(self) -> bool:
        """Whether a member, a post or a notice keeps the room open."""
        return self.members.keep_open or bool(self.pending or self.notices)

    # -- members -------------------------------------------------------------------------------------------------------

    def join(self, member: Member, joined: messages.Joined | None) -> Sequence[Effect]:
        """Add a member, or replace its outbox. Offers it `joined`, and announces it to the others.

        A member that needs a replay joins with a `HeldOutbox` and without `joined`, up to `replayed`. A leave of the
        same session that still waits for posts is done: it was about the earlier stay.
        """
        self.joins += 1
        for each in [each for each in self.leaving if each.session is member.session]:
            self.leaving.remove(each)
            if each.answer is not None:
                each.answer.resolve(None)
        is_first = self.fan_out.join(member, joined)
        return (events.UserJoined(member.user_id, self.room_id),) if is_first else ()

    def replayed(self, session: AnyRef) -> None:
        """The member has received its replay: release what its outbox holds, and remove that outbox."""
        member = self.members.get(session)
        if member is not None and isinstance(member.outbox, HeldOutbox):
            self.members.add(msgspec.structs.replace(member, outbox=member.outbox.release()))

    def leave(self, session: AnyRef, answer: OwedAnswer[None] | None = None) -> Sequence[Effect]:
        """Remove a member once its own posts are broadcast; `answer` is resolved then."""
        if self.pending.has_any_of(session):
            self.leaving.append(PendingLeave(session, answer))
            return ()
        effects = self.drop(session)
        if answer is not None:
            answer.resolve(None)
        return effects

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
        for subscribers in self.subscribers.values():
            subscribers.pop(session, None)
        member = self.members.get(session)
        if member is not None and isinstance(member.outbox, HeldOutbox):
            member.outbox.discard()
        user_id = self.fan_out.leave(session)
        left = MemberLeft(session)
        return (left,) if user_id is None else (left, events.UserLeft(user_id, self.room_id))

    # -- posts ---------------------------------------------------------------------------------------------------------

    def refusal_of_size(self, content: str) -> Refusal | None:
        """The refusal of a post that is too long. Each post passes this check: of users, bots and extensions."""
        limit = self._longest_content
        return refusals.content_too_long(limit) if limit and len(content) > limit else None

    def post_now(self, pending: PendingPost, at: datetime) -> Sequence[Effect]:
        """Number a post, broadcast and accept it, in a room without a journal."""
        stored = StoredMessage(self.last_seq + 1, pending.draft.user_id, pending.draft.content, at)
        effects = self.broadcast((stored,), {stored.seq: pending.posted_by})
        self.accept(pending, Receipt(stored.seq, at, is_new=True))
        return effects

    def accept(self, pending: PendingPost, receipt: Receipt) -> None:
        """Answer a post that is numbered."""
        accepted = _accepted(pending, receipt)
        if accepted is not None:
            pending.author.outbox.offer(Block.of(accepted))
        if pending.answer is not None:
            pending.answer.resolve(None)

    def next_append(self) -> Append | None:
        """The drafts, which now are in flight. None if there are none, or if an append is in flight already."""
        append = self.pending.next_append(self.room_id)
        if append is not None:
            self.append_after = self.last_seq
        return append

    def stored(self, appended: Appended) -> Sequence[Effect]:
        """The append in flight is stored: broadcast its messages, and accept them."""
        posted_by = {
            receipt.seq: pending.posted_by
            for pending, receipt in zip(self.pending.in_flight, appended.receipts, strict=True)
            if pending.posted_by
        }
        return [*self.broadcast(appended.messages, posted_by), *self._settle(appended.receipts)]

    def failed(self) -> Sequence[Effect]:
        """The append in flight is not stored: refuse its posts."""
        return self._settle([None] * len(self.pending.in_flight))

    def settled(self, by_id: Sequence[Receipt | None], stored: Sequence[StoredMessage]) -> Sequence[Effect]:
        """The journal has told the outcome of an append that was in doubt; see `PendingPosts.receipts`."""
        return [*self.broadcast(stored), *self._settle(self.pending.receipts(by_id, stored))]

    def _settle(self, receipts: Sequence[Receipt | None]) -> Sequence[Effect]:
        """The append in flight is over: accept the posts that have a receipt, and refuse the others."""
        in_flight, self.unfinished, self.is_in_doubt = self.pending.take_in_flight(), None, False
        accepted: defaultdict[Outbox, list[bytes]] = defaultdict(list)
        for pending, receipt in zip(in_flight, receipts, strict=True):
            if receipt is None:
                self._refuse_pending(pending, refusals.NOT_STORED)
                continue
            if (message := _accepted(pending, receipt)) is not None:
                accepted[pending.author.outbox].append(encode(message))
            if pending.answer is not None:
                pending.answer.resolve(None)
        for outbox, payloads in accepted.items():
            outbox.offer(Block(payloads))
        return [ReleaseSlots(len(in_flight)), *self._release_waiters()]

    def broadcast(
        self, stored: Sequence[StoredMessage], posted_by: Mapping[int, str] | None = None
    ) -> Sequence[Effect]:
        """Add messages to the fan-out in sequence order. Skips those that were added before.

        `posted_by` names the extension of each message that a room kind posted, by number. Without it, the messages
        are from the journal, and the posts in flight tell.
        """
        effects: list[Effect] = []
        is_observed = self.is_observed()
        for message in stored:
            if message.seq <= self.last_seq:
                continue
            self.fan_out.add(chat_message(self.room_id, message))
            self.last_seq = message.seq
            if self.has_post_hooks:
                name = self.pending.posted_by(message) if posted_by is None else posted_by.get(message.seq, "")
                self.posted.append(Posted(message, name))
            if is_observed:
                posted = events.MessagePosted(message.user_id, self.room_id, message.seq, message.at, message.content)
                effects.append(posted)
        return effects

    def restarted(self) -> Sequence[Effect]:
        """Continue after a crash: finish the append that was being handled, and release those that waited for it."""
        return self._release_waiters() if self.unfinished is None else self.stored(self.unfinished)

    def ended(self, *, has_failed: bool) -> Append | None:
        """The room ends: deliver what is numbered. Drafts are refused after a failure, and are appended otherwise."""
        self.fan_out.flush()
        drafts = self.pending.take_drafts()
        if has_failed:
            for pending in drafts:
                self._refuse_pending(pending, refusals.ROOM_FAILED)
        return Append(self.room_id, [pending.draft for pending in drafts]) if drafts and not has_failed else None

    def refuse(self, author: Member, refusal: Refusal, request_id: str | None) -> None:
        """Send an error to the author of a post."""
        author.outbox.offer(Block.of(refusal.as_error(request_id)))

    def _refuse_pending(self, pending: PendingPost, refusal: Refusal) -> None:
        self.refuse(pending.author, refusal, pending.request_id)
        if pending.answer is not None:
            pending.answer.resolve(refusal)

    def _release_waiters(self) -> Sequence[Effect]:
        """Remove leaving members whose posts are broadcast, and answer flush requests if nothing is pending."""
        effects: list[Effect] = []
        leaving, self.leaving = self.leaving, []
        for each in leaving:
            effects += self.leave(each.session, each.answer)
        if not self.pending:
            self.fan_out.flush()
            for request in self.flush_requests:
                request.resolve(None)
            self.flush_requests = []
        return effects


def _accepted(pending: PendingPost, receipt: Receipt) -> messages.Accepted | None:
    """The answer to a post that is numbered. None if the client gave it no id."""
    client_msg_id = pending.draft.client_msg_id
    if client_msg_id is None:
        return None
    return messages.Accepted(client_msg_id, receipt.seq, format_timestamp(receipt.at), request_id=pending.request_id)
