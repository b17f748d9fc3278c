"""A room of a kind: the promises of every room, and between them what the kind decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import anyio
import msgspec

from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block
from chat_actors.chat.room import RoomActor
from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.room_messages import Enter, Entered, EnterSilently, MayEnter, NotInRoom, Post, RoomMessage
from chat_actors.chat.room_state import Journaling, RoomState
from chat_actors.chat.service import Refused
from chat_actors.kernel import handles
from chat_actors.protocol import ExtensionMessage, Refusal, messages

HOOK_WITHIN = 5.0
"""Seconds that a kind may take for one decision. Beyond, the room crashes, as if the kind had raised."""


class KindRoom(RoomActor):
    """Asks its kind before somebody enters and before something is said; all else is the room's own.

    Takes everything by its mailbox, and not in the sender's turn: a kind may wait.
    """

    def __init__(
        self,
        room_id: str,
        state: RoomState,
        now: Callable[[], datetime],
        journaling: Journaling | None,
        make_kind: Callable[[], RoomKind],
    ) -> None:
        super().__init__(room_id, state, now, journaling)
        self._kind = make_kind()
        self._kind.room = self
        self._left: list[str] = []

    async def on_start(self) -> None:
        await super().on_start()
        with anyio.fail_after(HOOK_WITHIN):
            await self._kind.on_open()

    def on_delivery(self, message: RoomMessage) -> None:
        self.context.self_ref.send_nowait(message)

    @handles
    async def may_enter(self, request: MayEnter) -> Refusal | None:
        return await self._ask_kind(request.user_id)

    async def _ask_kind(self, user_id: str) -> Refusal | None:
        try:
            with anyio.fail_after(HOOK_WITHIN):
                await self._kind.may_join(user_id)
        except Refused as no:
            return Refusal(no.code, no.text)
        return None

    @handles
    async def enter(self, message: Enter) -> None:  # type: ignore[override]  # a kind may wait
        member = message.member
        no = await self._ask_kind(member.user_id)  # again: much may have happened since `MayEnter`
        if no is None:
            super().enter(message)
        else:
            member.session.tell(NotInRoom(self.context.self_ref, no))

    @handles
    async def enter_silently(self, request: EnterSilently) -> Entered | Refusal:  # type: ignore[override]  # the same
        user_id = request.member.user_id
        no = await self._ask_kind(user_id)
        if no is not None:
            return no
        super().enter_silently(request)
        return Entered(self.state.last_seq, self._kind.state_for(user_id))

    def _say_joined(self, member: Member, is_first: bool) -> None:
        super()._say_joined(member, is_first)
        if is_first:
            self._kind.on_join(member.user_id)

    def _make_joined(self, user_id: str, request_id: str | None, seq: int | None) -> messages.Joined:
        joined = super()._make_joined(user_id, request_id, seq)
        return msgspec.structs.replace(joined, state=self._kind.state_for(user_id))

    @handles
    async def post(self, message: Post) -> None:  # type: ignore[override]  # a kind may wait
        author = self.members.get(message.session)
        if author is not None:
            try:
                with anyio.fail_after(HOOK_WITHIN):
                    content = await self._kind.on_post(author.user_id, message.content)
            except Refused as no:
                self._refuse(author, Refusal(no.code, no.text), message.request_id)
                return
            message = msgspec.structs.replace(message, content=content)
        super().post(message)

    def on_turn_end(self) -> None:
        left, self._left = self._left, []
        for user_id in left:
            self._kind.on_leave(user_id)
        super().on_turn_end()

    def _gone(self, user_id: str) -> None:
        super()._gone(user_id)
        self._left.append(user_id)  # the kind hears of it at the end of the turn: here nothing may raise

    # -- what a kind may do: `RoomView` --------------------------------------------------------------------------------

    @property
    def users(self) -> Sequence[str]:
        return self.members.users

    def tell_all(self, message: ExtensionMessage) -> None:
        self.fan_out.add(message)

    def tell(self, user_id: str, message: ExtensionMessage) -> None:
        block = Block.of(message)
        for member in self.members:
            if member.user_id == user_id:
                member.outbox.offer(block)

    def remove(self, user_id: str, code: str, text: str) -> None:
        for member in [member for member in self.members if member.user_id == user_id]:
            # Its session leaves by itself, after what it has said; if it cannot even be told, it is put out at once.
            if not member.session.tell(NotInRoom(self.context.self_ref, Refusal(code, text))):
                self._remove(member.session)
