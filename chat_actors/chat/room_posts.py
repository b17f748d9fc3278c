"""The part of the room actor that executes what the core decides, and stores and broadcasts posts.

Theory of operation. `RoomCore` holds the room's state and decides; this actor executes the effects (`_execute`), asks
the journal writer and the policy, and answers. While the journal writer stores an append, the room collects the next
drafts, so the batches grow with the load. `on_turn_end` starts the next append and flushes the fan-out: one block for
each member and turn. Drafts keep mailbox slots reserved, so mailbox and drafts have one bound.

A post is stored and accepted, or refused and not stored. If the writer fails with an unknown outcome, the room asks the
journal which posts are stored before it answers them; if a crash interrupts that, the next incarnation does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import assert_never

import msgspec

from chat_actors.chat import events
from chat_actors.chat.journal_writer import Journaling, WaitUntilStored
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import NullOutbox
from chat_actors.chat.pending_posts import PendingPost
from chat_actors.chat.recovery import PAGE_MESSAGES
from chat_actors.chat.room_core import CloseIfEmpty, Effect, MemberLeft, NotifyRemoved, ReleaseSlots, RoomCore
from chat_actors.chat.room_messages import Flush, MemberRemoved, NotAMember, PostAs, PostToRoom, RoomMessage
from chat_actors.chat.room_policy import RoomPolicy, null_policy
from chat_actors.kernel import Actor, ActorStopped, AnyRef, MailboxFull, handles
from chat_actors.protocol import Refusal
from chat_actors.storage import Appended, Committed, Draft, StorageError, StoredMessage

DIRECT_MEMBERS = 2
"""A room with at most this many members handles a post in the sender's turn.

With few members batching saves little, and waking the room costs as much as writing to one member. Many rooms are that
small: direct conversations, and the rooms named after a user.
"""

WRITER_WITHIN = 10.0
"""Seconds that a starting room waits for the journal writer."""

NOTIFY_AGAIN_SECONDS = 1.0
"""Seconds between two attempts to notify a session whose mailbox is full."""


class AppendFailed(msgspec.Struct, frozen=True):
    """The append in flight has failed, or its outcome is unknown."""

    error: Exception


class NotifyAgain(msgspec.Struct, frozen=True):
    """The timer with which a room notifies sessions whose mailboxes were full."""


class RoomPosts(Actor[RoomMessage]):
    """Base class of `RoomActor`."""

    def __init__(
        self,
        core: RoomCore,
        now: Callable[[], datetime],
        journaling: Journaling | None = None,
        make_policy: Callable[[], Awaitable[RoomPolicy]] = null_policy,
    ) -> None:
        """Each incarnation makes its own policy, when it starts."""
        self.core = core
        self._now = now
        self._journaling = journaling
        self._make_policy = make_policy
        self._policy = RoomPolicy()

    def _execute(self, effects: Sequence[Effect]) -> None:
        context = self.context
        for effect in effects:
            match effect:
                case events.MessagePosted():
                    context.events.publish(effect)
                case MemberLeft(session=session):
                    context.unwatch(session)
                case events.UserJoined(user_id=user_id):
                    context.events.publish(effect)
                    self._policy.joined(user_id)
                case events.UserLeft(user_id=user_id):
                    context.events.publish(effect)
                    self._policy.left(user_id)
                case NotifyRemoved(session=session, refusal=refusal):
                    self._notify(session, MemberRemoved(context.self_ref, self.core.joins, refusal))
                case ReleaseSlots(count=count):
                    context.release_slots(count)
                case CloseIfEmpty():
                    self._close_if_empty()
                case _:
                    assert_never(effect)

    def _remove_user(self, user_id: str, refusal: Refusal) -> None:
        """Remove all connections of a user, in this turn."""
        self._execute(self.core.remove(user_id, refusal))

    def _close_if_empty(self) -> None:
        if not self.core.is_needed:
            # A room with queued messages stays open. The next leave or the timer checks again.
            self.context.stop_if_idle()

    def _notify(self, session: AnyRef, notice: MemberRemoved | NotAMember) -> None:
        """Notify a session. If its mailbox is full, try again, also after a crash: nothing else would notify it."""
        is_next = all(each is not session for each, _ in self.core.notices)  # a session's notices stay in order
        if not (is_next and session.tell(notice)) and not session.is_stopped:
            if not self.core.notices:
                self.context.after(NOTIFY_AGAIN_SECONDS, NotifyAgain())
            self.core.notices.append((session, notice))

    @handles
    def notify_again(self, message: NotifyAgain) -> None:
        notices, self.core.notices = self.core.notices, []
        for session, notice in notices:
            self._notify(session, notice)
        self._close_if_empty()

    # -- posts ---------------------------------------------------------------------------------------------------------

    def on_delivery(self, message: RoomMessage) -> None:
        core = self.core
        if isinstance(message, PostToRoom) and len(core.members) <= DIRECT_MEMBERS and not core.has_post_hooks:
            self.take_post(message)
            self.on_turn_end()
        else:
            self.context.self_ref.send_nowait(message)

    @handles
    async def post(self, message: PostToRoom) -> None:
        if self.core.has_post_hooks:
            await self._post_by_policy(message)
        else:
            self.take_post(message)

    async def _post_by_policy(self, message: PostToRoom) -> None:
        author = self.core.members.get(message.session)
        if author is not None:
            content = await self._check_post(author.user_id, message.content)
            if isinstance(content, Refusal):
                if not await self._is_answered_as_repeated(author, message):
                    self.core.refuse(author, content, message.request_id)
                return
            message = msgspec.structs.replace(message, content=content)
        self.take_post(message)
        await self._policy.report_posted()

    async def _check_post(self, user_id: str, content: str, posted_by: str = "") -> str | Refusal:
        """The content to post, or a refusal. The policy sees no content that is too long, and cannot make one."""
        checked = self.core.refusal_of_size(content) or await self._policy.check_post(user_id, content, posted_by)
        return checked if isinstance(checked, Refusal) else self.core.refusal_of_size(checked) or checked

    async def _is_answered_as_repeated(self, author: Member, message: PostToRoom) -> bool:
        """Answer a refused post that repeats an earlier one as that one was: the policy has decided on it before."""
        if message.client_msg_id is None or self._journaling is None:
            return False
        draft = self.core.pending.repeated(author.user_id, message.client_msg_id)
        if draft is not None:
            self._post(PendingPost(draft, author, message.request_id))  # with the content that was decided on
            return True
        journal = self._journaling.journal
        try:
            receipt = await journal.receipt(self.core.room_id, author.user_id, message.client_msg_id)
        except StorageError:
            return False
        if receipt is not None:
            draft = Draft(author.user_id, message.content, message.client_msg_id)
            self.core.accept(PendingPost(draft, author, message.request_id), receipt)
        return receipt is not None

    def take_post(self, message: PostToRoom) -> None:
        """Number a post, or draft it if there is a journal. Runs in the turn of the sender or of the room."""
        author = self.core.members.get(message.session)
        if author is None:
            self._notify(
                message.session,
                NotAMember(self.context.self_ref, self.core.joins, message.request_id, message.is_named),
            )
        elif (refusal := self.core.refusal_of_size(message.content)) is not None:
            self.core.refuse(author, refusal, message.request_id)
        else:
            draft = Draft(author.user_id, message.content, message.client_msg_id)
            self._post(PendingPost(draft, author, message.request_id))

    @handles
    async def post_as(self, request: PostAs) -> Refusal | None:
        content = await self._check_post(request.user_id, request.content, request.posted_by)
        if isinstance(content, Refusal):
            return content
        author = Member(self.context.self_ref, request.user_id, NullOutbox())
        draft, answer = Draft(request.user_id, content), self.context.answer_later()
        self._post(PendingPost(draft, author, answer=answer, posted_by=request.posted_by))
        await self._policy.report_posted()
        return None

    def _post(self, pending: PendingPost) -> None:
        if self._journaling is None:
            self._execute(self.core.post_now(pending, self._now()))
        else:
            self.core.pending.add(pending)
            self.context.reserve_slots(1)

    # -- the journal ---------------------------------------------------------------------------------------------------

    def on_turn_end(self) -> None:
        if self._journaling is not None and (append := self.core.next_append()) is not None:
            try:
                writer = self._journaling.writer
                self.context.ask_into(writer, append, into=lambda appended: appended, failed=AppendFailed)
            except (MailboxFull, ActorStopped):
                self._execute(self.core.failed())
        self._policy.end_turn()
        self.core.fan_out.flush()

    @handles
    async def appended(self, message: Appended) -> None:
        self._execute(self.core.stored(message))
        await self._policy.report_posted()

    @handles
    async def committed(self, message: Committed) -> None:
        self._execute(self.core.broadcast(message.messages))
        await self._policy.report_posted()

    @handles
    async def append_failed(self, message: AppendFailed) -> None:
        if self._journaling is None or isinstance(message.error, StorageError):
            self._execute(self.core.failed())
        else:  # the writer failed, not the storage
            self.core.is_in_doubt = True
            await self._settle_doubt(self._journaling)
            await self._policy.report_posted()

    async def _load_position(self) -> None:
        """Load the last sequence number. After a crash, broadcast what was stored meanwhile."""
        core, journaling = self.core, self._journaling
        core.is_observed = partial(self.context.events.has_listeners, events.MessagePosted)
        if journaling is None:
            return
        if not core.is_open:
            # A previous actor for this room may have failed with an append in flight. Wait for it; otherwise
            # numbering would start from a stale value.
            await self._wait_until_stored(journaling)
            core.last_seq = (await journaling.journal.extent(core.room_id)).last
        elif core.is_in_doubt:
            await self._settle_doubt(journaling)
        else:
            await self._read_journal(journaling, core.last_seq)
            self._execute(core.restarted())

    async def _wait_until_stored(self, journaling: Journaling) -> None:
        await journaling.writer.ask(WaitUntilStored(self.core.room_id), timeout=WRITER_WITHIN)

    async def _read_journal(self, journaling: Journaling, after: int) -> Sequence[StoredMessage]:
        """Broadcast the messages after a number that were not broadcast yet. All messages after that number."""
        stored: list[StoredMessage] = []
        more = True
        while more:
            page = await journaling.journal.page(self.core.room_id, after=after, limit=PAGE_MESSAGES)
            self._execute(self.core.broadcast(page.messages))
            stored += page.messages
            after, more = page.messages[-1].seq if page.messages else after, page.more
        return stored

    async def _settle_doubt(self, journaling: Journaling) -> None:
        """Ask the journal which posts of the append in flight are stored, and answer them."""
        await self._wait_until_stored(journaling)
        stored = await self._read_journal(journaling, self.core.append_after)
        receipts = []
        for pending in self.core.pending.in_flight:
            draft, receipt = pending.draft, None
            if draft.client_msg_id is not None:
                receipt = await journaling.journal.receipt(self.core.room_id, draft.user_id, draft.client_msg_id)
            receipts.append(receipt)
        self._execute(self.core.settled(receipts, stored))

    @handles
    def flush(self, request: Flush) -> None:
        if self.core.pending:
            self.core.flush_requests.append(self.context.answer_later())
        else:
            self.core.fan_out.flush()
