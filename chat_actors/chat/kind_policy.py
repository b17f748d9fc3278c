"""The policy of a room with room kinds: it calls their hooks and executes their commands."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import anyio
import msgspec

from chat_actors.chat.chosen_kind import ChosenKind, load_chosen, store_chosen
from chat_actors.chat.command_method import Call, CommandMethod, Refused
from chat_actors.chat.room_core import Posted, RoomCore
from chat_actors.chat.room_handle import Action, RoomHandle, RunInRoom
from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.room_kinds import RoomKinds, RoomKindSpec
from chat_actors.chat.room_messages import AssignKind
from chat_actors.chat.room_policy import RemoveUser, RoomPolicy
from chat_actors.chat.store import Store, space_of
from chat_actors.kernel import Context, call_hook, is_async
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, Refusal, checked_content, refusals
from chat_actors.storage import Accounts, States

HOOK_WITHIN = 5.0
"""Seconds that the room kinds of a room may take for one hook. After that the room crashes."""


def _nothing() -> None:
    """The action of a timer after which only waiting hooks are called."""


class KindDependencies(msgspec.Struct, frozen=True):
    """The objects that the server passes to the policy of each room."""

    room_kinds: RoomKinds
    states: States
    accounts: Accounts
    now: Callable[[], datetime]


async def make_kind_policy(dependencies: KindDependencies, room_id: str) -> RoomPolicy:
    """The policy of a room: the null policy if it has no room kind and cannot be given one.

    The stored choice is read even if no extension is enabled, so that a room whose extension was switched off stays
    closed. Raises `StorageError`.
    """
    chosen = await load_chosen(dependencies.states, room_id)
    if not chosen.chosen_as and not dependencies.room_kinds.has_kind_for(room_id):
        return RoomPolicy()
    return KindPolicy(dependencies, chosen)


class KindPolicy(RoomPolicy):
    """Asks each room kind of a room, in the order in which the extensions are enabled.

    If a room kind sees posts, they go through the mailbox instead of the sender's turn, since a hook may wait.
    """

    def __init__(self, dependencies: KindDependencies, chosen: ChosenKind) -> None:
        self._dependencies = dependencies
        self._room_kinds = dependencies.room_kinds
        self._chosen = chosen
        self._kinds: Sequence[tuple[str, RoomKind]] = ()
        self._deciding: Sequence[tuple[str, RoomKind]] = ()  # with on_post
        self._reported_to: Sequence[tuple[str, RoomKind]] = ()  # with on_posted
        self._commands: Mapping[type[ExtensionCommand], tuple[RoomKind, CommandMethod]] = {}
        self._missing_kind: str | None = None
        self._users_left: list[str] = []
        self._kinds_at_once: Sequence[RoomKind] = ()  # with plain on_join and on_leave
        self._kinds_later: Sequence[RoomKind] = ()
        self._later: deque[Action] = deque()
        self._context: Context
        self._core: RoomCore
        self._remove_user: RemoveUser

    async def open(self, context: Context, core: RoomCore, remove_user: RemoveUser) -> None:
        self._context, self._core, self._remove_user = context, core, remove_user
        self._later.clear()
        self._users_left.clear()  # users who left while the room restarted: the new room kinds never saw them
        if self._chosen.chosen_as and self._chosen.chosen_as not in self._room_kinds.choosable:
            self._missing_kind = self._chosen.chosen_as
        await self._open_kinds()
        await self.report_posted()
        for user_id in self._core.members.users:  # there are members after a restart only
            await self._call_hooks()
            refusal = await _first_refusal(partial(kind.may_stay, user_id) for _, kind in self._kinds)
            if refusal is not None:
                remove_user(user_id, refusal)

    async def _open_kinds(self) -> None:
        specs = self._room_kinds.for_room(self._core.room_id, self._chosen.chosen_as)
        self._kinds = [(spec.extension, self._make_kind(spec)) for spec in specs]
        self._deciding = [each for each in self._kinds if type(each[1]).on_post is not RoomKind.on_post]
        self._reported_to = [each for each in self._kinds if type(each[1]).on_posted is not RoomKind.on_posted]
        self._kinds_later = [kind for _, kind in self._kinds if is_async(kind.on_join) or is_async(kind.on_leave)]
        self._kinds_at_once = [kind for _, kind in self._kinds if kind not in self._kinds_later]
        self._core.has_post_hooks = bool(self._missing_kind is not None or self._deciding or self._reported_to)
        self._commands = {
            command: (kind, method)
            for spec, (_, kind) in zip(specs, self._kinds, strict=True)
            for command, method in spec.methods.items()
        }
        for _, kind in self._kinds:
            with anyio.fail_after(HOOK_WITHIN):
                await call_hook(kind.on_open)

    def _make_kind(self, spec: RoomKindSpec) -> RoomKind:
        kind = spec.kind()
        kind.settings = spec.settings
        kind.room = RoomHandle(
            self._context,
            self._core,
            extension=spec.extension,
            creator=self._chosen.creator if spec.kind.chosen_as == self._chosen.chosen_as else "",
            store=Store(self._dependencies.states, space_of(spec.extension, spec.kind, self._core.room_id)),
            services=spec.services,
            subscribers=self._core.subscribers.setdefault(spec.extension, {}),
            remove_user=self._remove_user,
            now=self._dependencies.now,
            accounts=self._dependencies.accounts,
        )
        return kind

    # -- members -------------------------------------------------------------------------------------------------------

    async def check_join(self, user_id: str) -> Refusal | None:
        if self._missing_kind is not None:
            return refusals.kind_missing(self._missing_kind)
        await self._call_hooks()
        return await _first_refusal(partial(kind.may_join, user_id) for _, kind in self._kinds)

    async def visited(self) -> None:
        if self._room_kinds.choosable and not self._chosen.chosen_as and not self._chosen.is_visited:
            await self._choose(ChosenKind(is_visited=True))

    async def _choose(self, chosen: ChosenKind) -> None:
        await store_chosen(self._dependencies.states, self._core.room_id, chosen)
        self._chosen = chosen

    async def state_for(self, user_id: str) -> msgspec.Raw | None:
        """Encode the states now: one that is not JSON crashes the room before the new member is added."""
        await self._call_hooks()
        with anyio.fail_after(HOOK_WITHIN):
            results = {extension: await call_hook(kind.state_for, user_id) for extension, kind in self._kinds}
        states = {extension: state for extension, state in results.items() if state is not None}
        return msgspec.Raw(msgspec.json.encode(states)) if states else None

    def joined(self, user_id: str) -> None:
        for kind in self._kinds_at_once:
            kind.on_join(user_id)
        for kind in self._kinds_later:
            self._call_later(partial(kind.on_join, user_id))

    def left(self, user_id: str) -> None:
        self._users_left.append(user_id)  # on_leave is called at the end of the turn: this must not raise
        for kind in self._kinds_later:
            self._call_later(partial(kind.on_leave, user_id))

    def _call_later(self, hook: Action) -> None:
        """Call an `async` hook before the room kinds are called again: this turn cannot wait for it."""
        if not self._later:
            self._context.after(0, RunInRoom(self._kinds_later[0].room, _nothing))
        self._later.append(hook)

    async def _call_hooks(self) -> None:
        while self._later:
            with anyio.fail_after(HOOK_WITHIN):
                await call_hook(self._later.popleft())

    async def close(self) -> None:
        await self._call_hooks()

    def end_turn(self) -> None:
        left, self._users_left = self._users_left, []
        for user_id in left:
            for kind in self._kinds_at_once:
                kind.on_leave(user_id)

    # -- posts ---------------------------------------------------------------------------------------------------------

    async def check_post(self, user_id: str, content: str, posted_by: str = "") -> str | Refusal:
        if self._missing_kind is not None:
            return refusals.kind_missing(self._missing_kind)
        if self._later:
            await self._call_hooks()
        try:
            with anyio.fail_after(HOOK_WITHIN):
                for extension, kind in self._deciding:
                    if extension != posted_by:
                        decided: Any = kind.on_post(user_id, content)
                        content = checked_content(decided if isinstance(decided, str) else await decided)
        except Refused as refused:
            return refused.refusal
        return content

    async def report_posted(self) -> None:
        """Report each message to the room kinds, once. Raises the first failure, after all of them.

        A room kind that takes too long fails at once: the next incarnation reports the rest.
        """
        self.is_reporting = True
        failure: Exception | None = None
        while self._core.posted:
            if self._later:
                await self._call_hooks()
            posted = self._core.posted.popleft()
            try:
                await self._report(posted)
            except TimeoutError:
                raise
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
        self.is_reporting = False

    async def _report(self, posted: Posted) -> None:
        with anyio.fail_after(HOOK_WITHIN):
            for extension, kind in self._reported_to:
                if extension != posted.posted_by:
                    result: Any = kind.on_posted(posted.message.user_id, posted.message.content)
                    if result is not None and inspect.isawaitable(result):
                        await result

    # -- commands, timers, the choice of a kind ------------------------------------------------------------------------

    async def call(self, request: Call) -> ExtensionMessage | Refusal | None:
        found = self._commands.get(type(request.command))
        if found is None:
            return await super().call(request)
        if request.caller.session not in self._core.members:
            return refusals.NOT_IN_ROOM if request.command.named_room is None else refusals.NOT_JOINED
        await self._call_hooks()
        kind, method = found
        with anyio.fail_after(HOOK_WITHIN):
            return await method.execute(kind, request)

    async def run(self, message: RunInRoom) -> None:
        if not any(kind.room is message.handle for _, kind in self._kinds):
            return  # piped work of an incarnation that has crashed
        await self._call_hooks()
        with anyio.fail_after(HOOK_WITHIN):
            await call_hook(message.action)

    async def assign(self, request: AssignKind) -> Refusal | None:
        if self._chosen.chosen_as or self._chosen.is_visited:
            return refusals.ROOM_EXISTS
        refusal = await self.check_join(request.creator)
        if refusal is not None:
            return refusal
        await self._choose(ChosenKind(request.chosen_as, request.creator))
        await self._open_kinds()
        return None


async def _first_refusal(hooks: Iterable[Action]) -> Refusal | None:
    try:
        with anyio.fail_after(HOOK_WITHIN):
            for hook in hooks:
                await call_hook(hook)
    except Refused as refused:
        return refused.refusal
    return None
