"""The room actor, which delivers the same messages in the same order to all members.

Theory of operation. A post is *drafted*, then *in flight* (one append at a time is with the journal writer), then
numbered by the journal, broadcast, and accepted. Meanwhile the room collects the next drafts, so the batches grow with
the load. Without a journal the room numbers a post itself and broadcasts it at once. `on_turn_end` starts the next
append and flushes the fan-out: one block for each member and turn.

Invariants: messages are broadcast in sequence order, each once (`last_seq` skips repeats). A member leaves after its
own posts are broadcast. Drafts keep mailbox slots reserved, so mailbox and drafts have one bound.

`RoomState` outlives a crash: members, drafts, the append in flight and `last_seq`. A restarted room reads the journal
from `last_seq` on, so a crash at any point neither loses nor repeats a message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chat_actors.chat import events
from chat_actors.chat.journal_writer import WaitUntilStored
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block, NullOutbox, Outbox
from chat_actors.chat.recovery import PAGE_MESSAGES, chat_message
from chat_actors.chat.room_messages import (
    MEMBERS_LISTED,
    Flush,
    JoinedRoom,
    JoinRoom,
    JoinSilently,
    LeaveRoom,
    ListUsers,
    NotAMember,
    PostAs,
    PostToRoom,
    RoomMessage,
    UserList,
)
from chat_actors.chat.room_state import Journaling, PendingLeave, PendingPost, RoomState
from chat_actors.kernel import (
    Actor,
    ActorStopped,
    AnyRef,
    Cause,
    MailboxFull,
    Restart,
    StopReason,
    Terminated,
    handles,
)
from chat_actors.protocol import Refusal, encode, format_timestamp, messages, refusals
from chat_actors.storage import Append, Appended, Committed, Draft, Journal, StorageError, StoredMessage

DIRECT_MEMBERS = 2
"""A room with at most this many members handles a post in the sender's turn.

With few members batching saves little, and waking the room costs as much as writing to one member. Many rooms are that
small: direct conversations, and the rooms named after a user.
"""

CLOSE_CHECK_SECONDS = 30.0
"""Seconds between two checks for an empty room, which could not close while messages for it were queued."""

OPEN_WITHIN = 10.0
"""Seconds that a starting room waits for the journal writer."""


class CloseIfEmpty(msgspec.Struct, frozen=True):
    """The message of the timer: close the room if it is empty."""


class AppendFailed(msgspec.Struct, frozen=True):
    """The append in flight has failed, or its outcome is unknown."""

    error: Exception


class RoomActor(Actor[RoomMessage]):
    """Orders the messages of one room and broadcasts them to all members, including the sender.

    With a journal, a message is broadcast once it is stored. The room watches each member's session, so the end of a
    connection removes its member exactly once. The room stops when it is empty and no message for it is queued.
    """

    mailbox_capacity = 1024
    supervision = Restart(at_most=5, within=60.0, backoff=(0.05, 2.0))

    def __init__(
        self, room_id: str, state: RoomState, now: Callable[[], datetime], journaling: Journaling | None = None
    ) -> None:
        self.room_id = room_id
        self.state = state
        self.fan_out = state.fan_out
        self.members = state.fan_out.members
        self._now = now
        self._journaling = journaling

    async def on_start(self) -> None:
        await self._load_position()
        if not self.state.is_open:
            self.state.is_open = True
            self.context.events.publish(events.RoomOpened(self.room_id))
        self.context.every(CLOSE_CHECK_SECONDS, CloseIfEmpty())

    async def _load_position(self) -> None:
        """Load the last sequence number. After a crash, broadcast what was stored meanwhile."""
        if self._journaling is None:
            return
        if not self.state.is_open:
            # A previous actor for this room may have failed with an append in flight. Wait for it; otherwise
            # numbering would start from a stale value.
            await self._journaling.writer.ask(WaitUntilStored(self.room_id), timeout=OPEN_WITHIN)
            self.state.last_seq = (await self._journaling.journal.extent(self.room_id)).last
            return
        await self._replay_journal(self._journaling.journal)
        if self.state.unfinished is not None:
            self._finish(self.state.unfinished)
        self._release_waiters()

    async def _replay_journal(self, journal: Journal) -> None:
        more = True
        while more:
            page = await journal.page(self.room_id, after=self.state.last_seq, limit=PAGE_MESSAGES)
            self._broadcast(page.messages)
            more = page.more

    # -- members -------------------------------------------------------------------------------------------------------

    @handles
    def join(self, message: JoinRoom) -> None:
        member, request_id = message.member, message.request_id
        # Clients that send request ids may rejoin with `since`, so tell them the current sequence number.
        seq = None if request_id is None else self.state.last_seq
        joined = self._make_joined(member.user_id, request_id, seq)
        self.context.watch(member.session)
        self._on_joined(member, self.fan_out.join(member, joined))

    def _make_joined(self, user_id: str, request_id: str | None, seq: int | None) -> messages.Joined:
        return messages.joined(user_id, self.room_id, request_id, seq)

    @handles
    def join_silently(self, request: JoinSilently) -> JoinedRoom | Refusal:
        self.context.watch(request.member.session)
        self._on_joined(request.member, self.fan_out.join_silently(request.member))
        return JoinedRoom(self.state.last_seq)

    def _on_joined(self, member: Member, is_first: bool) -> None:
        if is_first:
            self.context.events.publish(events.UserJoined(member.user_id, self.room_id))

    @handles
    def leave(self, request: LeaveRoom) -> None:
        self.context.unwatch(request.session)
        if self.state.has_pending_of(request.session):
            self.state.leaving.append(PendingLeave(request.session, self.context.answer_later()))
        else:
            self._end_membership(request.session)

    @handles
    def session_ended(self, message: Terminated) -> None:
        if self.state.has_pending_of(message.ref):
            self.state.leaving.append(PendingLeave(message.ref, None))
        else:
            self._end_membership(message.ref)

    @handles
    def list_users(self, request: ListUsers) -> UserList:
        users = self.members.users
        return UserList(len(users), users[:MEMBERS_LISTED])

    # -- messages ------------------------------------------------------------------------------------------------------

    def on_delivery(self, message: RoomMessage) -> None:
        if isinstance(message, PostToRoom) and len(self.members) <= DIRECT_MEMBERS:
            self.take_post(message)
            self.on_turn_end()
        else:
            self.context.self_ref.send_nowait(message)

    @handles
    def post(self, message: PostToRoom) -> None:
        self.take_post(message)

    def take_post(self, message: PostToRoom) -> None:
        """Number a post, or draft it if there is a journal. Runs in the turn of the sender or of the room."""
        author = self.members.get(message.session)
        if author is None:
            message.session.tell(NotAMember(self.context.self_ref))
        elif self._journaling is None:
            stored = self._post_unjournaled(author.user_id, message.content)
            if message.client_msg_id is not None:
                accepted = _accepted(message.client_msg_id, message.request_id, stored.seq, stored.at)
                author.outbox.offer(Block.of(accepted))
        else:
            self._queue(
                PendingPost(Draft(author.user_id, message.content, message.client_msg_id), author, message.request_id)
            )

    @handles
    def post_as(self, request: PostAs) -> Refusal | None:
        if self._journaling is None:
            self._post_unjournaled(request.user_id, request.content)
        else:
            author = Member(self.context.self_ref, request.user_id, NullOutbox())
            self._queue(
                PendingPost(Draft(request.user_id, request.content), author, answer=self.context.answer_later())
            )
        return None

    def _queue(self, pending: PendingPost) -> None:
        self.state.drafts.append(pending)
        self.context.reserve_slots(1)

    def _post_unjournaled(self, user_id: str, content: str) -> StoredMessage:
        stored = StoredMessage(self.state.last_seq + 1, user_id, content, self._now())
        self._broadcast((stored,))
        return stored

    def on_turn_end(self) -> None:
        if self.state.drafts and not self.state.in_flight and self._journaling is not None:
            self._append(self._journaling)
        self.fan_out.flush()

    def _append(self, journaling: Journaling) -> None:
        state = self.state
        state.in_flight, state.drafts = state.drafts, []
        append = Append(self.room_id, [pending.draft for pending in state.in_flight])
        try:
            self.context.ask_into(journaling.writer, append, into=lambda appended: appended, failed=AppendFailed)
        except (MailboxFull, ActorStopped):
            self._refuse_in_flight()

    @handles
    def appended(self, message: Appended) -> None:
        self._finish(message)

    @handles
    def committed(self, message: Committed) -> None:
        self._broadcast(message.messages)

    def _finish(self, appended: Appended) -> None:
        self._broadcast(appended.messages)
        accepted: defaultdict[Outbox, list[bytes]] = defaultdict(list)
        for pending, receipt in zip(self._take_in_flight(), appended.receipts, strict=True):
            if pending.draft.client_msg_id is not None:
                answer = _accepted(pending.draft.client_msg_id, pending.request_id, receipt.seq, receipt.at)
                accepted[pending.author.outbox].append(encode(answer))
            if pending.answer is not None:
                pending.answer.resolve(None)
        for outbox, payloads in accepted.items():
            outbox.offer(Block(payloads))
        self._release_waiters()

    def _broadcast(self, stored: Sequence[StoredMessage]) -> None:
        """Add messages to the fan-out in sequence order. Skip those that were added before."""
        state, is_observed = self.state, self.context.events.has_listeners(events.MessagePosted)
        for message in stored:
            if message.seq <= state.last_seq:
                continue
            self.fan_out.add(chat_message(self.room_id, message))
            state.last_seq = message.seq
            if is_observed:
                posted = events.MessagePosted(message.user_id, self.room_id, message.seq, message.at, message.content)
                self.context.events.publish(posted)

    @handles
    async def append_failed(self, message: AppendFailed) -> None:
        self._refuse_in_flight()
        if self._journaling is not None and not isinstance(message.error, StorageError):
            # The writer failed, not the storage: some messages may be stored.
            await self._replay_journal(self._journaling.journal)

    def _refuse_in_flight(self) -> None:
        for pending in self._take_in_flight():
            self._refuse_pending(pending, refusals.NOT_STORED)
        self._release_waiters()

    def _take_in_flight(self) -> Sequence[PendingPost]:
        in_flight, self.state.in_flight, self.state.unfinished = self.state.in_flight, (), None
        self.context.release_slots(len(in_flight))
        return in_flight

    def _release_waiters(self) -> None:
        """Remove leaving members whose posts are broadcast, and answer flush requests if nothing is pending."""
        leaving, self.state.leaving = self.state.leaving, []
        for leave in leaving:
            if self.state.has_pending_of(leave.session):
                self.state.leaving.append(leave)
            else:
                self._end_membership(leave.session)
                if leave.answer is not None:
                    leave.answer.resolve(None)
        if not self.state.has_pending:
            self.fan_out.flush()
            while self.state.flush_requests:
                self.state.flush_requests.pop().resolve(None)

    @handles
    def flush(self, request: Flush) -> None:
        if self.state.has_pending:
            self.state.flush_requests.append(self.context.answer_later())
        else:
            self.fan_out.flush()

    # -- failure and shutdown ------------------------------------------------------------------------------------------

    @handles
    def close_if_empty(self, message: CloseIfEmpty) -> None:
        self._close_if_empty()

    def on_failure(self, message: Any, error: Exception) -> None:
        match message:
            case JoinRoom(member=member) if member.session in self.members:
                pass  # the handler crashed after adding the member, which stays
            case JoinRoom(member=member):
                member.session.tell(NotAMember(self.context.self_ref))
            case LeaveRoom(session=session) | Terminated(ref=session):
                self._remove_member(session)  # the next incarnation is not notified again
            case PostToRoom(session=session) if (author := self.members.get(session)) is not None:
                self._refuse(author, refusals.ROOM_FAILED, message.request_id)
            case Appended() if self.state.in_flight:
                self.state.unfinished = message
            case _:
                pass

    async def on_stop(self, reason: StopReason) -> None:
        self.fan_out.flush()  # numbered messages are delivered also when restarts are exhausted
        drafts, self.state.drafts = self.state.drafts, []
        if reason.cause is Cause.FAILED:
            for pending in drafts:
                self._refuse_pending(pending, refusals.ROOM_FAILED)
        elif drafts and self._journaling is not None:
            # No member is left to receive them, but accepted drafts are still stored.
            self._journaling.writer.tell(Append(self.room_id, [pending.draft for pending in drafts]))
        self.context.events.publish(events.RoomClosed(self.room_id))

    def _refuse(self, author: Member, refusal: Refusal, request_id: str | None) -> None:
        author.outbox.offer(Block.of(refusal.as_error(request_id)))

    def _refuse_pending(self, pending: PendingPost, refusal: Refusal) -> None:
        self._refuse(pending.author, refusal, pending.request_id)
        if pending.answer is not None:
            pending.answer.resolve(refusal)

    def _end_membership(self, session: AnyRef) -> None:
        self._remove_member(session)
        self._close_if_empty()

    def _remove_member(self, session: AnyRef) -> None:
        user_id = self.fan_out.leave(session)
        if user_id is not None:
            self._on_left(user_id)

    def _on_left(self, user_id: str) -> None:
        self.context.events.publish(events.UserLeft(user_id, self.room_id))

    def _close_if_empty(self) -> None:
        if not self.members.keep_open and not self.state.has_pending:
            # A room with queued messages stays open. The next leave or the timer checks again.
            self.context.stop_if_idle()


def _accepted(client_msg_id: str, request_id: str | None, seq: int, at: datetime) -> messages.Accepted:
    return messages.Accepted(client_msg_id, seq, format_timestamp(at), request_id=request_id)
