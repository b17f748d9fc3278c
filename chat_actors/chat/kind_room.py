"""A room of kinds: the promises of every room, and between them what the kinds decide."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import anyio
import msgspec

from chat_actors.chat.command_method import Call, CommandMethod, Refused
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Outbox
from chat_actors.chat.room import RoomActor
from chat_actors.chat.room_handle import RoomHandle, RunInRoom
from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.room_kinds import RoomKinds, RoomKindSpec
from chat_actors.chat.room_messages import (
    AssignKind,
    CheckJoin,
    JoinedRoom,
    JoinRoom,
    JoinSilently,
    PostAs,
    PostToRoom,
    RemovedFromRoom,
    RoomMessage,
)
from chat_actors.chat.room_state import Journaling, RoomState
from chat_actors.chat.store import Store
from chat_actors.kernel import AnyRef, handles
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, Refusal, checked_content, messages, refusals
from chat_actors.storage import Accounts, States

HOOK_WITHIN = 5.0
"""Seconds that the kinds of a room may take for one decision. Beyond, the room crashes, as if the kind had raised."""

CHOSEN = "chosen"
"""The key under which it is kept which kind a user has chosen for a room."""


class Chosen(msgspec.Struct, frozen=True):
    """A kind that a user has chosen, and who."""

    chosen_as: str
    creator: str


class KindRoom(RoomActor):
    """Asks its kinds before somebody enters and before something is said; all else is the room's own.

    If a kind wants to hear what is said, it takes that by its mailbox, and not in the sender's turn: a kind may wait.
    """

    def __init__(
        self,
        room_id: str,
        state: RoomState,
        now: Callable[[], datetime],
        journaling: Journaling | None,
        room_kinds: RoomKinds,
        states: States,
        accounts: Accounts,
        subscribers: dict[str, dict[AnyRef, Outbox]],
    ) -> None:
        """`subscribers` outlives a crash: those of each extension."""
        super().__init__(room_id, state, now, journaling)
        self._room_kinds = room_kinds
        self._states = states
        self._accounts = accounts
        self._subscribers = subscribers
        self._kinds: Sequence[tuple[str, RoomKind]] = ()
        self._listeners: Sequence[RoomKind] = ()  # to what is said
        self._commands: dict[type[ExtensionCommand], tuple[RoomKind, CommandMethod]] = {}
        self._missing_kind: str | None = None
        self._users_left: list[str] = []

    async def on_start(self) -> None:
        await super().on_start()
        chosen = (
            await self._room_store.get(CHOSEN, Chosen, Chosen("", "")) if self._room_kinds.choosable else Chosen("", "")
        )
        if chosen.chosen_as and chosen.chosen_as not in self._room_kinds.choosable:
            self._missing_kind = chosen.chosen_as
        await self._open_kinds(chosen)

    @property
    def _room_store(self) -> Store:
        return Store(self._states, f"rooms/{self.room_id}")

    async def _open_kinds(self, chosen: Chosen) -> None:
        kinds = self._room_kinds.for_room(self.room_id, chosen.chosen_as)
        self._kinds = [(kind.extension, self._make_kind(kind, chosen)) for kind in kinds]
        self._listeners = [kind for _, kind in self._kinds if type(kind).on_post is not RoomKind.on_post]
        self._commands = {
            command: (made, method)
            for kind, (_, made) in zip(kinds, self._kinds, strict=True)
            for command, method in kind.methods.items()
        }
        for _, made in self._kinds:
            with anyio.fail_after(HOOK_WITHIN):
                await made.on_open()

    def _make_kind(self, spec: RoomKindSpec, chosen: Chosen) -> RoomKind:
        kind = spec.kind()
        kind.settings = spec.settings
        kind.room = RoomHandle(
            self.context,
            self.fan_out,
            creator=chosen.creator if spec.kind.chosen_as == chosen.chosen_as else "",
            store=Store(self._states, f"{spec.extension}.{kind.kept_as or type(kind).__name__}/{self.room_id}"),
            services=spec.services,
            subscribers=self._subscribers.setdefault(spec.extension, {}),
            remove_connection=self._end_membership,
            now=self._now,
            accounts=self._accounts,
        )
        return kind

    def on_delivery(self, message: RoomMessage) -> None:
        if self._listeners or self._missing_kind:
            self.context.self_ref.send_nowait(message)
        else:
            super().on_delivery(message)

    # -- what the kinds decide -----------------------------------------------------------------------------------------

    @handles
    async def check_join(self, request: CheckJoin) -> Refusal | None:
        return await self._check_kinds(request.user_id)

    async def _check_kinds(self, user_id: str) -> Refusal | None:
        if self._missing_kind is not None:
            return refusals.kind_missing(self._missing_kind)
        try:
            with anyio.fail_after(HOOK_WITHIN):
                for _, kind in self._kinds:
                    await kind.may_join(user_id)
        except Refused as refused:
            return refused.refusal
        return None

    @handles
    async def join(self, message: JoinRoom) -> None:  # type: ignore[override]  # a kind may wait
        member = message.member
        refusal = await self._check_kinds(member.user_id)  # again: much may have happened since `CheckJoin`
        if refusal is None:
            super().join(message)
        else:
            member.session.tell(RemovedFromRoom(self.context.self_ref, refusal))

    @handles
    async def join_silently(self, request: JoinSilently) -> JoinedRoom | Refusal:  # type: ignore[override]  # the same
        user_id = request.member.user_id
        refusal = await self._check_kinds(user_id)
        if refusal is not None:
            return refusal
        state = self._state_for(user_id)
        super().join_silently(request)
        return JoinedRoom(self.state.last_seq, state)

    def _on_joined(self, member: Member, is_first: bool) -> None:
        super()._on_joined(member, is_first)
        if is_first:
            for _, kind in self._kinds:
                kind.on_join(member.user_id)

    def _make_joined(self, user_id: str, request_id: str | None, seq: int | None) -> messages.Joined:
        joined = super()._make_joined(user_id, request_id, seq)
        return msgspec.structs.replace(joined, state=self._state_for(user_id))

    def _state_for(self, user_id: str) -> msgspec.Raw | None:
        """Encoded at once: a state that is no JSON crashes the room while the newcomer is not in it yet."""
        told = {extension: kind.state_for(user_id) for extension, kind in self._kinds}
        states = {extension: state for extension, state in told.items() if state is not None}
        return msgspec.Raw(msgspec.json.encode(states)) if states else None

    @handles
    async def post(self, message: PostToRoom) -> None:  # type: ignore[override]  # a kind may wait
        author = self.members.get(message.session)
        if author is not None and (self._listeners or self._missing_kind):
            content = await self._filter_content(author.user_id, message.content)
            if isinstance(content, Refusal):
                self._refuse(author, content, message.request_id)
                return
            message = msgspec.structs.replace(message, content=content)
        self.take_post(message)

    @handles
    async def post_as(self, request: PostAs) -> Refusal | None:  # type: ignore[override]  # a kind may wait
        content = await self._filter_content(request.user_id, request.content, request.posted_by)
        if isinstance(content, Refusal):
            return content
        return super().post_as(PostAs(request.user_id, content))

    async def _filter_content(self, user_id: str, content: str, said_by: Any = None) -> str | Refusal:
        if self._missing_kind is not None:
            return refusals.kind_missing(self._missing_kind)
        try:
            with anyio.fail_after(HOOK_WITHIN):
                for kind in self._listeners:
                    if kind.room is not said_by:
                        content = checked_content(await kind.on_post(user_id, content))
        except Refused as refused:
            return refused.refusal
        return content

    @handles
    async def call(self, request: Call) -> ExtensionMessage | Refusal | None:
        found = self._commands.get(type(request.command))
        if found is None:
            return refusals.not_in_this_room(str(request.command.__struct_config__.tag))
        if request.caller.session not in self.members:
            return refusals.NOT_IN_ROOM
        kind, method = found
        with anyio.fail_after(HOOK_WITHIN):
            return await method.execute(kind, request)

    @handles
    async def run_in_room(self, message: RunInRoom) -> None:
        if not any(kind.room is message.handle for _, kind in self._kinds):
            return  # slow work for a life of the room that has crashed
        with anyio.fail_after(HOOK_WITHIN):
            done = message.action()
            if inspect.isawaitable(done):
                await done

    @handles
    async def assign_kind(self, request: AssignKind) -> Refusal | None:
        is_used = self._journaling is not None and self.state.last_seq
        kept = await self._room_store.get(CHOSEN, Chosen, Chosen("", ""))
        if len(self.members) or is_used or kept.chosen_as:
            return refusals.ROOM_EXISTS
        refusal = await self._check_kinds(request.creator)
        if refusal is not None:
            return refusal
        chosen = Chosen(request.chosen_as, request.creator)
        await self._room_store.put(CHOSEN, chosen)
        await self._open_kinds(chosen)
        return None

    def on_turn_end(self) -> None:
        left, self._users_left = self._users_left, []
        for user_id in left:
            for _, kind in self._kinds:
                kind.on_leave(user_id)
        super().on_turn_end()

    def _remove_member(self, session: AnyRef) -> None:
        for subscribers in self._subscribers.values():
            subscribers.pop(session, None)
        super()._remove_member(session)

    def _on_left(self, user_id: str) -> None:
        super()._on_left(user_id)
        self._users_left.append(user_id)  # the kinds hear of it at the end of the turn: here nothing may raise
