"""The room actor for rooms with room kinds: it calls their hooks and executes their commands."""

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
    MemberRemoved,
    PostAs,
    PostToRoom,
    RoomMessage,
)
from chat_actors.chat.room_state import Journaling, RoomState
from chat_actors.chat.store import Store
from chat_actors.kernel import AnyRef, handles
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, Refusal, checked_content, messages, refusals
from chat_actors.storage import Accounts, States

HOOK_WITHIN = 5.0
"""Seconds that the room kinds of a room may take for one hook. After that the room crashes."""

CHOSEN = "chosen"
"""The storage key of a room's `ChosenKind`."""


class ChosenKind(msgspec.Struct, frozen=True):
    """The room kind that a user has chosen for a room, and that user. Stored."""

    chosen_as: str = ""
    creator: str = ""


async def load_chosen(states: States, room_id: str) -> ChosenKind:
    """The stored choice of a room. Does not start the room. Raises `StorageError`."""
    return await Store(states, f"rooms/{room_id}").get(CHOSEN, ChosenKind, ChosenKind())


class KindRoom(RoomActor):
    """A room that calls the hooks of its room kinds before each join and each post.

    If a room kind has `on_post`, posts go through the mailbox instead of the sender's turn, since the hook may wait.
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
        """`subscribers` holds the subscribers of each extension, and outlives a crash."""
        super().__init__(room_id, state, now, journaling)
        self._room_kinds = room_kinds
        self._states = states
        self._accounts = accounts
        self._subscribers = subscribers
        self._kinds: Sequence[tuple[str, RoomKind]] = ()
        self._filters: Sequence[RoomKind] = ()  # with on_post
        self._commands: dict[type[ExtensionCommand], tuple[RoomKind, CommandMethod]] = {}
        self._missing_kind: str | None = None
        self._users_left: list[str] = []

    async def on_start(self) -> None:
        await super().on_start()
        chosen = await self._load_chosen() if self._room_kinds.choosable else ChosenKind()
        if chosen.chosen_as and chosen.chosen_as not in self._room_kinds.choosable:
            self._missing_kind = chosen.chosen_as
        await self._open_kinds(chosen)

    @property
    def _room_store(self) -> Store:
        return Store(self._states, f"rooms/{self.room_id}")

    async def _load_chosen(self) -> ChosenKind:
        return await load_chosen(self._states, self.room_id)

    async def _open_kinds(self, chosen: ChosenKind) -> None:
        specs = self._room_kinds.for_room(self.room_id, chosen.chosen_as)
        self._kinds = [(spec.extension, self._make_kind(spec, chosen)) for spec in specs]
        self._filters = [kind for _, kind in self._kinds if type(kind).on_post is not RoomKind.on_post]
        self._commands = {
            command: (kind, method)
            for spec, (_, kind) in zip(specs, self._kinds, strict=True)
            for command, method in spec.methods.items()
        }
        for _, kind in self._kinds:
            with anyio.fail_after(HOOK_WITHIN):
                await kind.on_open()

    def _make_kind(self, spec: RoomKindSpec, chosen: ChosenKind) -> RoomKind:
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
        if self._filters or self._missing_kind:
            self.context.self_ref.send_nowait(message)
        else:
            super().on_delivery(message)

    # -- hooks of the room kinds ---------------------------------------------------------------------------------------

    @handles
    async def check_join(self, request: CheckJoin) -> Refusal | None:
        refusal = await self._check_kinds(request.user_id)
        if request.is_query:
            self._close_if_empty()
        return refusal

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
        refusal = await self._check_kinds(member.user_id)  # again: the answer to `CheckJoin` may be outdated
        if refusal is None:
            super().join(message)
        else:
            member.session.tell(MemberRemoved(self.context.self_ref, refusal))

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
        """Encode the states now: one that is not JSON crashes the room before the new member is added."""
        results = {extension: kind.state_for(user_id) for extension, kind in self._kinds}
        states = {extension: state for extension, state in results.items() if state is not None}
        return msgspec.Raw(msgspec.json.encode(states)) if states else None

    @handles
    async def post(self, message: PostToRoom) -> None:  # type: ignore[override]  # a kind may wait
        author = self.members.get(message.session)
        if author is not None and (self._filters or self._missing_kind):
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

    async def _filter_content(self, user_id: str, content: str, posted_by: Any = None) -> str | Refusal:
        if self._missing_kind is not None:
            return refusals.kind_missing(self._missing_kind)
        try:
            with anyio.fail_after(HOOK_WITHIN):
                for kind in self._filters:
                    if kind.room is not posted_by:
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
            return  # piped work of an incarnation that has crashed
        with anyio.fail_after(HOOK_WITHIN):
            result = message.action()
            if inspect.isawaitable(result):
                await result

    @handles
    async def assign_kind(self, request: AssignKind) -> Refusal | None:
        is_used = (
            self._journaling is not None and (await self._journaling.journal.extent(self.room_id)).was_used
        ) or self.state.has_pending
        existing = await self._load_chosen()
        if len(self.members) or is_used or existing.chosen_as:
            return refusals.ROOM_EXISTS
        refusal = await self._check_kinds(request.creator)
        if refusal is not None:
            return refusal
        chosen = ChosenKind(request.chosen_as, request.creator)
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
        self._users_left.append(user_id)  # on_leave is called at the end of the turn: this must not raise
