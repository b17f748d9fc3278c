"""The room actor, which delivers the same messages in the same order to all members.

Theory of operation. The actor is a thin shell: `RoomCore` holds the room's state and decides, `RoomPosts` stores and
broadcasts the posts, and this class admits and removes members and handles the start, the failures and the end of the
room. It handles one message at a time, so each decision of the policy belongs to the turn that it is made in.

`RoomCore` outlives a crash. A restarted room reads the journal from `last_seq` on, so a crash at any point neither
loses nor repeats a message.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chat_actors.chat import events
from chat_actors.chat.command_method import Call
from chat_actors.chat.room_core import CloseIfEmpty
from chat_actors.chat.room_handle import RunInRoom
from chat_actors.chat.room_messages import (
    MEMBERS_LISTED,
    AssignKind,
    CheckJoin,
    JoinedRoom,
    JoinRoom,
    LeaveRoom,
    ListUsers,
    PostToRoom,
    Replayed,
    UserList,
)
from chat_actors.chat.room_posts import NOTIFY_AGAIN_SECONDS, NotifyAgain, RoomPosts
from chat_actors.kernel import Cause, Restart, StopReason, Terminated, handles
from chat_actors.protocol import ExtensionMessage, Refusal, messages, refusals
from chat_actors.storage import Appended

CLOSE_CHECK_SECONDS = 30.0
"""Seconds between two checks for an empty room, which could not close while messages for it were queued."""


class RoomActor(RoomPosts):
    """Orders the messages of one room and broadcasts them to all members, including the sender.

    With a journal, a message is broadcast once it is stored. The room watches each member's session, so the end of a
    connection removes its member exactly once. The room stops when it is empty and no message for it is queued.
    """

    mailbox_capacity = 1024
    supervision = Restart(at_most=5, within=60.0, backoff=(0.05, 2.0))

    async def on_start(self) -> None:
        if self.core.notices:
            self.context.after(NOTIFY_AGAIN_SECONDS, NotifyAgain())
        self._policy = await self._make_policy()
        await self._load_position()
        if not self.core.is_open:
            self.core.is_open = True
            self.context.events.publish(events.RoomOpened(self.core.room_id))
        self.context.every(CLOSE_CHECK_SECONDS, CloseIfEmpty())
        await self._policy.open(self.context, self.core, self._remove_user)

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
        answer = self.context.answer_later() if self.core.pending.has_any_of(request.session) else None
        self.context.unwatch(request.session)
        self._execute(self.core.leave(request.session, answer))

    @handles
    def session_ended(self, message: Terminated) -> None:
        self._execute(self.core.leave(message.ref))

    @handles
    def list_users(self, request: ListUsers) -> UserList:
        users = self.core.members.users
        return UserList(len(users), users[:MEMBERS_LISTED])

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
        return await self._policy.assign(request)

    async def _is_used(self) -> bool:
        if self._journaling is None:
            return False
        return bool(self.core.pending) or (await self._journaling.journal.extent(self.core.room_id)).was_used

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
            case PostToRoom() if self._policy.is_reporting:
                pass  # the message was posted, and a room kind failed on it
            case PostToRoom(session=session) if (author := self.core.members.get(session)) is not None:
                self.core.refuse(author, refusals.ROOM_FAILED, message.request_id)
            case Appended() if self.core.pending.in_flight:
                self.core.unfinished = message
            case _:
                pass

    async def on_stop(self, reason: StopReason) -> None:
        # Numbered messages are delivered also when restarts are exhausted.
        append = self.core.ended(has_failed=reason.cause is Cause.FAILED)
        if append is not None and self._journaling is not None:
            # No member is left to receive them, but accepted drafts are still stored.
            self._journaling.writer.tell(append)
        self.context.events.publish(events.RoomClosed(self.core.room_id))
        self._policy.end_turn()  # last, since a room kind may raise
        await self._policy.close()
