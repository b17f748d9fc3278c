"""The room actor, which delivers the same messages in the same order to all members.

Theory of operation. The actor is a thin shell: `RoomCore` holds the room's state and decides, and the actor executes
the effects (`_execute`), asks the journal writer and the policy, and answers. It handles one message at a time, so each
decision of the policy belongs to the turn that it is made in. While the journal writer stores an append, the room
collects the next drafts, so the batches grow with the load. `on_turn_end` starts the next append and flushes the
fan-out: one block for each member and turn.

Drafts keep mailbox slots reserved, so mailbox and drafts have one bound. `RoomCore` outlives a crash. A restarted room
reads the journal from `last_seq` on, so a crash at any point neither loses nor repeats a message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, assert_never

import msgspec

from chat_actors.chat import events
from chat_actors.chat.command_method import Call
from chat_actors.chat.journal_writer import Journaling, WaitUntilStored
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block, NullOutbox
from chat_actors.chat.recovery import PAGE_MESSAGES
from chat_actors.chat.room_core import (
    CloseIfEmpty,
    Effect,
    MemberLeft,
    NotifyNotAMember,
    NotifyRemoved,
    PendingPost,
    Publish,
    ReleaseSlots,
    Resolve,
    RoomCore,
    UserJoined,
    UserLeft,
    make_accepted,
)
from chat_actors.chat.room_handle import RunInRoom
from chat_actors.chat.room_messages import (
    MEMBERS_LISTED,
    AssignKind,
    CheckJoin,
    Flush,
    JoinedRoom,
    JoinRoom,
    LeaveRoom,
    ListUsers,
    MemberRemoved,
    NotAMember,
    PostAs,
    PostToRoom,
    Replayed,
    RoomMessage,
    UserList,
)
from chat_actors.chat.room_policy import RoomPolicy, null_policy
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
from chat_actors.protocol import ExtensionMessage, Refusal, messages, refusals
from chat_actors.storage import Appended, Committed, Draft, Journal, StorageError, StoredMessage

DIRECT_MEMBERS = 2
"""A room with at most this many members handles a post in the sender's turn.

With few members batching saves little, and waking the room costs as much as writing to one member. Many rooms are that
small: direct conversations, and the rooms named after a user.
"""

CLOSE_CHECK_SECONDS = 30.0
"""Seconds between two checks for an empty room, which could not close while messages for it were queued."""

OPEN_WITHIN = 10.0
"""Seconds that a starting room waits for the journal writer."""


NOTIFY_AGAIN_SECONDS = 1.0
"""Seconds between two attempts to notify a session whose mailbox is full."""


class NotifyAgain(msgspec.Struct, frozen=True):
    """Try again to notify a session that was removed."""

    session: AnyRef
    notice: MemberRemoved


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
        self._is_reporting = False
        self._policy = RoomPolicy()

    async def on_start(self) -> None:
        self._policy = await self._make_policy()
        await self._load_position()
        if not self.core.is_open:
            self.core.is_open = True
            self.context.events.publish(events.RoomOpened(self.core.room_id))
        self.context.every(CLOSE_CHECK_SECONDS, CloseIfEmpty())
        await self._policy.open(self.context, self.core, self._remove_user)
        self.core.keeps_posted = self._policy.sees_posts
        await self._report_posted()

    async def _load_position(self) -> None:
        """Load the last sequence number. After a crash, broadcast what was stored meanwhile."""
        if self._journaling is None:
            return
        if not self.core.is_open:
            # A previous actor for this room may have failed with an append in flight. Wait for it; otherwise
            # numbering would start from a stale value.
            await self._journaling.writer.ask(WaitUntilStored(self.core.room_id), timeout=OPEN_WITHIN)
            self.core.last_seq = (await self._journaling.journal.extent(self.core.room_id)).last
            return
        await self._replay_journal(self._journaling.journal)
        self._execute(self.core.restarted())

    async def _replay_journal(self, journal: Journal) -> None:
        self._watch_posts()
        more = True
        while more:
            page = await journal.page(self.core.room_id, after=self.core.last_seq, limit=PAGE_MESSAGES)
            self._execute(self.core.broadcast(page.messages))
            more = page.more

    def _execute(self, effects: Sequence[Effect]) -> None:
        context, core = self.context, self.core
        for effect in effects:
            match effect:
                case Publish(event=event):
                    context.events.publish(event)
                case MemberLeft(session=session):
                    context.unwatch(session)
                    self._policy.forget(session)
                case UserJoined(user_id=user_id):
                    context.events.publish(events.UserJoined(user_id, core.room_id))
                    self._policy.joined(user_id)
                case UserLeft(user_id=user_id):
                    context.events.publish(events.UserLeft(user_id, core.room_id))
                    self._policy.left(user_id)
                case NotifyRemoved(session=session, refusal=refusal):
                    self._notify(session, MemberRemoved(context.self_ref, core.joins, refusal))
                case NotifyNotAMember(session=session, request_id=request_id):
                    session.tell(NotAMember(context.self_ref, core.joins, request_id))
                case Resolve(answer=answer, value=value):
                    answer.resolve(value)
                case ReleaseSlots(count=count):
                    context.release_slots(count)
                case CloseIfEmpty():
                    self._close_if_empty()
                case _:
                    assert_never(effect)

    def _notify(self, session: AnyRef, notice: MemberRemoved) -> None:
        """Notify a session that it is out. If its mailbox is full, try again: nothing else would tell it."""
        if not session.tell(notice) and not session.is_stopped:
            self.context.after(NOTIFY_AGAIN_SECONDS, NotifyAgain(session, notice))

    @handles
    def notify_again(self, message: NotifyAgain) -> None:
        self._notify(message.session, message.notice)

    # -- members -------------------------------------------------------------------------------------------------------

    @handles
    async def check_join(self, request: CheckJoin) -> Refusal | None:
        refusal = await self._policy.check_join(request.user_id)
        if request.is_query or refusal is not None:
            self._close_if_empty()
        return refusal

    @handles
    async def join(self, request: JoinRoom) -> JoinedRoom | Refusal:
        member = request.member
        if member.session not in self.core.members:  # a rejoin: only `remove` takes a member out
            refusal = await self._policy.check_join(member.user_id)
            if refusal is not None:
                self._close_if_empty()
                return refusal
            await self._policy.visited()
        state = await self._policy.state_for(member.user_id)
        last_seq = self.core.last_seq
        joined = None
        if not request.replays:
            # Clients that send request ids may rejoin with `since`, so tell them the current sequence number.
            is_additional = request.is_additional
            seq = last_seq if is_additional or request.request_id is not None else None
            room_id, request_id = self.core.room_id, request.request_id
            joined = messages.joined(member.user_id, room_id, request_id, seq, additional=is_additional)
            joined = msgspec.structs.replace(joined, state=state)
        self.context.watch(member.session)
        self._execute(self.core.join(member, joined))
        return JoinedRoom(self.core.joins, last_seq, state)

    @handles
    def replayed(self, message: Replayed) -> None:
        self.core.replayed(message.session)

    @handles
    def leave(self, request: LeaveRoom) -> None:
        answer = self.context.answer_later() if self.core.has_pending_of(request.session) else None
        self.context.unwatch(request.session)
        self._execute(self.core.leave(request.session, answer))

    @handles
    def session_ended(self, message: Terminated) -> None:
        self._execute(self.core.leave(message.ref))

    @handles
    def list_users(self, request: ListUsers) -> UserList:
        users = self.core.members.users
        return UserList(len(users), users[:MEMBERS_LISTED])

    def _remove_user(self, user_id: str, refusal: Refusal) -> None:
        """Remove all connections of a user, in this turn."""
        self._execute(self.core.remove(user_id, refusal))

    # -- messages ------------------------------------------------------------------------------------------------------

    def on_delivery(self, message: RoomMessage) -> None:
        if isinstance(message, PostToRoom) and len(self.core.members) <= DIRECT_MEMBERS and not self._policy.sees_posts:
            self.take_post(message)
            self.on_turn_end()
        else:
            self.context.self_ref.send_nowait(message)

    @handles
    async def post(self, message: PostToRoom) -> None:
        if self._policy.sees_posts:
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
        await self._report_posted()

    async def _check_post(self, user_id: str, content: str, posted_by: str = "") -> str | Refusal:
        """The content to post, or a refusal. The policy sees no content that is too long, and cannot make one."""
        checked = self.core.refusal_of_size(content) or await self._policy.check_post(user_id, content, posted_by)
        return checked if isinstance(checked, Refusal) else self.core.refusal_of_size(checked) or checked

    async def _is_answered_as_repeated(self, author: Member, message: PostToRoom) -> bool:
        """Answer a refused post that repeats an earlier one as that one was: the policy has decided on it before."""
        if message.client_msg_id is None or self._journaling is None:
            return False
        draft = self.core.pending_repeated(author.user_id, message.client_msg_id)
        if draft is not None:
            self._draft(PendingPost(draft, author, message.request_id))  # with the content that was decided on
            return True
        journal = self._journaling.journal
        try:
            receipt = await journal.receipt(self.core.room_id, author.user_id, message.client_msg_id)
        except StorageError:
            return False
        if receipt is not None:
            accepted = make_accepted(message.client_msg_id, message.request_id, receipt.seq, receipt.at)
            author.outbox.offer(Block.of(accepted))
        return receipt is not None

    def take_post(self, message: PostToRoom) -> None:
        """Number a post, or draft it if there is a journal. Runs in the turn of the sender or of the room."""
        author = self.core.members.get(message.session)
        if author is None:
            self._execute((NotifyNotAMember(message.session, message.request_id),))
        elif (refusal := self.core.refusal_of_size(message.content)) is not None:
            self.core.refuse(author, refusal, message.request_id)
        elif self._journaling is None:
            stored = self._post_now(author.user_id, message.content)
            if message.client_msg_id is not None:
                accepted = make_accepted(message.client_msg_id, message.request_id, stored.seq, stored.at)
                author.outbox.offer(Block.of(accepted))
        else:
            draft = Draft(author.user_id, message.content, message.client_msg_id)
            self._draft(PendingPost(draft, author, message.request_id))

    def _post_now(self, user_id: str, content: str, posted_by: str = "") -> StoredMessage:
        self._watch_posts()
        stored, effects = self.core.post_now(user_id, content, self._now(), posted_by)
        self._execute(effects)
        return stored

    def _draft(self, pending: PendingPost) -> None:
        self.core.draft(pending)
        self.context.reserve_slots(1)

    @handles
    async def post_as(self, request: PostAs) -> Refusal | None:
        content = await self._check_post(request.user_id, request.content, request.posted_by)
        if isinstance(content, Refusal):
            return content
        answer = self.context.answer_later()
        if self._journaling is None:
            self._post_now(request.user_id, content, request.posted_by)
            answer.resolve(None)
            await self._report_posted()
        else:
            author = Member(self.context.self_ref, request.user_id, NullOutbox())
            draft = Draft(request.user_id, content)
            self._draft(PendingPost(draft, author, answer=answer, posted_by=request.posted_by))
        return None

    def on_turn_end(self) -> None:
        if self.core.drafts and not self.core.in_flight and self._journaling is not None:
            self._append(self._journaling)
        self._policy.end_turn()
        self.core.fan_out.flush()

    def _append(self, journaling: Journaling) -> None:
        append = self.core.next_append()
        if append is not None:
            try:
                self.context.ask_into(journaling.writer, append, into=lambda appended: appended, failed=AppendFailed)
            except (MailboxFull, ActorStopped):
                self._execute(self.core.failed())

    @handles
    async def appended(self, message: Appended) -> None:
        self._finish(message)
        await self._report_posted()

    def _finish(self, appended: Appended) -> None:
        self._watch_posts()
        self._execute(self.core.stored(appended))

    @handles
    async def committed(self, message: Committed) -> None:
        self._watch_posts()
        self._execute(self.core.broadcast(message.messages))
        await self._report_posted()

    def _watch_posts(self) -> None:
        self.core.is_observed = self.context.events.has_listeners(events.MessagePosted)

    async def _report_posted(self) -> None:
        """Report each message that was broadcast to the policy, once. Raises its first failure, after all of them.

        A policy that takes too long fails at once: the next incarnation reports the rest.
        """
        self._is_reporting = True
        failure: Exception | None = None
        while self.core.posted:
            posted = self.core.posted.popleft()
            try:
                await self._policy.posted(posted)
            except TimeoutError:
                raise
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
        self._is_reporting = False

    @handles
    async def append_failed(self, message: AppendFailed) -> None:
        if self._journaling is not None and not isinstance(message.error, StorageError):
            # The writer failed, not the storage: some messages may be stored.
            await self._replay_journal(self._journaling.journal)
        self._execute(self.core.failed())
        await self._report_posted()

    @handles
    def flush(self, request: Flush) -> None:
        if self.core.has_pending:
            self.core.flush_requested(self.context.answer_later())
        else:
            self.core.fan_out.flush()

    # -- room kinds ----------------------------------------------------------------------------------------------------

    @handles
    async def call(self, request: Call) -> ExtensionMessage | Refusal | None:
        return await self._policy.call(request)

    @handles
    async def run_in_room(self, message: RunInRoom) -> None:
        await self._policy.run(message)

    @handles
    async def assign_kind(self, request: AssignKind) -> Refusal | None:
        if len(self.core.members) or await self._is_used():
            return refusals.ROOM_EXISTS
        refusal = await self._policy.assign(request)
        self.core.keeps_posted = self._policy.sees_posts
        return refusal

    async def _is_used(self) -> bool:
        if self._journaling is None:
            return False
        return self.core.has_pending or (await self._journaling.journal.extent(self.core.room_id)).was_used

    # -- failure and shutdown ------------------------------------------------------------------------------------------

    @handles
    def close_if_empty(self, message: CloseIfEmpty) -> None:
        self._close_if_empty()

    def on_failure(self, message: Any, error: Exception) -> None:
        match message:
            case JoinRoom(member=member):
                # The session's request fails, so neither side has the member.
                self._execute(self.core.drop(member.session))
            case LeaveRoom(session=session) | Terminated(ref=session):
                self._execute(self.core.drop(session))  # the next incarnation is not notified again
            case PostToRoom() if self._is_reporting:
                pass  # the message was posted, and a room kind failed on it
            case PostToRoom(session=session) if (author := self.core.members.get(session)) is not None:
                self.core.refuse(author, refusals.ROOM_FAILED, message.request_id)
            case Appended() if self.core.in_flight:
                self.core.unfinished = message
            case AppendFailed():
                self._execute(self.core.failed())
            case _:
                pass

    async def on_stop(self, reason: StopReason) -> None:
        # Numbered messages are delivered also when restarts are exhausted.
        append, effects = self.core.ended(has_failed=reason.cause is Cause.FAILED)
        self._execute(effects)
        if append is not None and self._journaling is not None:
            # No member is left to receive them, but accepted drafts are still stored.
            self._journaling.writer.tell(append)
        self.context.events.publish(events.RoomClosed(self.core.room_id))
        self._policy.end_turn()  # last, since a room kind may raise
        await self._policy.close()

    def _close_if_empty(self) -> None:
        if not self.core.members.keep_open and not self.core.has_pending:
            # A room with queued messages stays open. The next leave or the timer checks again.
            self.context.stop_if_idle()
