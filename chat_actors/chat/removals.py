"""Erases the data of removed users before the chat starts, so that the next user of an id inherits nothing.

Theory of operation. An operator removes a user while the server is stopped; the id is reserved from then on. At its
next start, before any room or service runs, the server tells each extension about each removed user: it calls
`on_user_removed` of its services and room kinds, once for each key under which that class has stored values. The
accounts record which extensions were told. A call that fails is logged and repeated at the next start, so a hook is
called at least once. An extension that is off is told at the first start with it.

An id that the operator wants to be free is freed once every extension that is on, or that has stored values, was told.
Until then no user can inherit anything, since the id cannot be registered.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import anyio
import msgspec

from chat_actors.chat.chosen_kind import ROOM_SPACES, erase_from_room
from chat_actors.chat.extension import Extensions
from chat_actors.chat.removed_user import RemovedUser
from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.service import Scope, Service
from chat_actors.chat.store import Store, space_of
from chat_actors.kernel import call_hook
from chat_actors.protocol import BUILT_IN
from chat_actors.storage import Removals, States, StateSpaces, StorageError

logger = logging.getLogger(__name__)

HOOK_WITHIN = 10.0
"""Seconds that one call of `on_user_removed` may take."""

DEFAULT_HOOKS = [vars(base)["on_user_removed"].__func__ for base in (Service, RoomKind)]

_EXTENSION = re.compile(r"([^./]+)\.")


class _Listener(msgspec.Struct, frozen=True):
    """A service or room kind, or the server itself, that is told about removed users."""

    hook: Any
    settings: Any
    prefix: str
    """What its spaces in the states begin with; the rest is the key."""
    scope: Scope

    @property
    def sees_all_keys(self) -> bool:
        """Whether the class has a hook of its own. The default hook concerns only the user's own key."""
        return getattr(self.hook, "__func__", self.hook) not in DEFAULT_HOOKS


async def tell_extensions(removals: Removals, states: States, extensions: Extensions) -> None:
    """Tell the extensions about the users that were removed. Logs failures; does not raise them."""
    try:
        pending = await removals.removals()
        if not pending:
            return
        if not isinstance(states, StateSpaces):
            logger.error("the data of removed users are not erased: the storage of states cannot list its spaces")
            return
        names = (BUILT_IN, *extensions.names)
        for name in names:
            users = [removal.user_id for removal in pending if name not in removal.told]
            told = await _tell(states, _listeners(extensions, name), name, users)
            await removals.mark_told(told, name)
        await _free(removals, {*names, *await extensions_with_state(states)})
    except StorageError as error:
        logger.error("the data of removed users are not erased, until the next start: %s", error)


def _listeners(extensions: Extensions, name: str) -> Sequence[_Listener]:
    if name == BUILT_IN:
        return [_Listener(erase_from_room, None, ROOM_SPACES, Scope.ROOM)]
    services = [
        _Listener(each.service.on_user_removed, each.settings, space_of(name, each.service, ""), each.service.scope)
        for each in extensions.services
        if each.extension == name
    ]
    kinds = [
        _Listener(each.kind.on_user_removed, each.settings, space_of(name, each.kind, ""), Scope.ROOM)
        for each in extensions.room_kinds.specs
        if each.extension == name
    ]
    return [*services, *kinds]


async def _tell(
    states: StateSpaces, listeners: Sequence[_Listener], name: str, users: Collection[str]
) -> Collection[str]:
    """Call the hooks of one extension. The users for whom none has failed."""
    failed: set[str] = set()
    for listener in listeners if users else ():
        async for key in _keys(states, listener, users):
            for user_id in users:
                if not listener.sees_all_keys and key != user_id:
                    continue
                store = Store(states, listener.prefix + key)  # type: ignore[arg-type]  # they are both
                removed = RemovedUser(user_id, key, store, listener.settings)
                try:
                    await _call(listener, removed)
                except Exception:
                    failed.add(user_id)
                    logger.exception("%s could not erase the data of the removed user %s", name, user_id)
    return [user_id for user_id in users if user_id not in failed]


async def _keys(states: StateSpaces, listener: _Listener, users: Collection[str]) -> AsyncIterator[str]:
    """The keys that a hook is called with: those with stored values, and those that need none."""
    always = [""] if listener.scope is Scope.SERVER else list(users) if listener.scope is Scope.USER else []
    for key in always:
        yield key
    after = ""
    while listener.sees_all_keys and (spaces := await states.spaces(prefix=listener.prefix, after=after)):
        for space in spaces:
            if (key := space.removeprefix(listener.prefix)) not in always:
                yield key
        after = spaces[-1]


async def _call(listener: _Listener, removed: RemovedUser) -> None:
    with anyio.fail_after(HOOK_WITHIN):
        await call_hook(listener.hook, removed)


async def extensions_with_state(states: StateSpaces) -> Collection[str]:
    """The names of the extensions that have stored something. Raises `StorageError`."""
    names = set()
    after = ""
    while spaces := await states.spaces(after=after, limit=1):
        found = _EXTENSION.match(spaces[0])
        if found is None:
            after = spaces[0].partition("/")[0] + "0"  # after all spaces of the rooms, since "0" follows "/"
        else:
            names.add(found[1])
            after = f"{found[1]}/"  # after all spaces of the extension, since "/" follows "."
    return names


async def _free(removals: Removals, needed: Collection[str]) -> None:
    """Free the ids that the operator wants to be free and that all these extensions were told about."""
    for removal in await removals.removals():
        missing = sorted(set(needed) - removal.told)
        if removal.is_to_be_freed and missing:
            logger.warning("the id %s stays reserved: not told of the removal: %s", removal.user_id, ", ".join(missing))
        elif removal.is_to_be_freed:
            await removals.free(removal.user_id)
            logger.info("the id %s can be registered again", removal.user_id)
