"""Rooms with an owner and moderators, who may kick, ban and mute, slow a room down, or make it read-only.

A room belongs to the user that it is named after, if there was that user before it was anybody's; or else to whoever
entered it first. (A user who takes the name of somebody's room later does not take the room.) Bots speak whatever the
rules are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

import anyio
import msgspec

from chat_actors import Caller, Command, Extension, Message, Refused, RoomKind, UserId, command

LISTED = 1000
"""Users who may be banned, or muted, or moderators of one room."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=315_360_000)]


class ModerationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.moderation]`"""

    rooms: tuple[str, ...] = ("*",)
    """The names of rooms that are moderated, as patterns."""

    admins: tuple[str, ...] = ()
    """Users who may do everything in every moderated room."""


class Rules(msgspec.Struct):
    """What is kept of a room. Times are when it ends; None: for good."""

    owner: str = ""
    moderators: list[str] = []
    banned: dict[str, datetime | None] = {}
    muted: dict[str, datetime | None] = {}
    slow_seconds: float = 0.0
    read_only: bool = False


class Kick(Command, frozen=True, tag="kick"):
    """Put somebody out. They may come back."""

    user_id: UserId


class Ban(Command, frozen=True, tag="ban"):
    """Put somebody out, and keep them out: for so many seconds, or for good."""

    user_id: UserId
    seconds: Seconds | None = None


class Unban(Command, frozen=True, tag="unban"):
    user_id: UserId


class Mute(Command, frozen=True, tag="mute"):
    """Let somebody say nothing: for so many seconds, or for good."""

    user_id: UserId
    seconds: Seconds | None = None


class Unmute(Command, frozen=True, tag="unmute"):
    user_id: UserId


class SlowMode(Command, frozen=True, tag="slow_mode"):
    """Let each user speak once in so many seconds; 0: as they like."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class ReadOnly(Command, frozen=True, tag="read_only"):
    """Let moderators alone speak, or everybody."""

    on: bool


class Appoint(Command, frozen=True, tag="appoint"):
    """Make somebody a moderator."""

    user_id: UserId


class Dismiss(Command, frozen=True, tag="dismiss"):
    user_id: UserId


class TransferRoom(Command, frozen=True, tag="transfer_room"):
    """Give the room to another owner."""

    user_id: UserId


class ShowModeration(Command, frozen=True, tag="moderation"):
    """What holds in this room, and from now on whatever changes."""


class Moderation(Message, frozen=True, tag="moderation"):
    """What holds in a room. The lists are for moderators alone."""

    room_id: str
    owner: str
    moderators: Sequence[str]
    slow_seconds: float
    read_only: bool
    banned: dict[str, datetime | None] | None = None
    muted: dict[str, datetime | None] | None = None


class ModeratedRoom(RoomKind):
    """Enforces the rules of one room, and lets its moderators change them."""

    async def on_open(self) -> None:
        self._rules = await self.store.get("rules", Rules, Rules())
        if not self._rules.owner and await self.room.user_exists(self.room.room_id):
            self._rules.owner = self.room.room_id
            await self._keep()
        self._spoke: dict[str, float] = {}

    # -- what holds ----------------------------------------------------------------------------------------------------

    async def may_join(self, user_id: str) -> None:
        if self._holds(self._rules.banned, user_id) and not self._is_owner(user_id):
            raise Refused("banned", "You are banned from this room.")

    def on_join(self, user_id: str) -> None:
        if self._comes_as_owner(user_id):
            self._rules.owner = user_id
            self.room.after(0, self._keep)

    def _comes_as_owner(self, user_id: str) -> bool:
        return not self._rules.owner and not user_id.startswith("bot:")

    async def on_post(self, user_id: str, content: str) -> str:
        if user_id.startswith("bot:"):
            return content
        if self._holds(self._rules.muted, user_id):
            raise Refused("muted", "You are muted in this room.")
        if not self._is_moderator(user_id):
            if self._rules.read_only:
                raise Refused("read_only", "Only moderators may speak in this room now.")
            self._take_time(user_id)
        return content

    def _take_time(self, user_id: str) -> None:
        now, pause = anyio.current_time(), self._rules.slow_seconds
        if not pause:
            return
        wait = self._spoke.get(user_id, -pause) + pause - now
        if wait > 0:
            raise Refused("slow_mode", f"This room is slowed down. Wait {wait:.0f} s before you speak again.")
        if len(self._spoke) >= LISTED:
            self._spoke = {who: at for who, at in self._spoke.items() if now - at < pause}
        self._spoke[user_id] = now

    def state_for(self, user_id: str) -> Any:
        rules = self._rules
        owner = user_id if self._comes_as_owner(user_id) else rules.owner
        return {
            "owner": owner,
            "moderator": user_id == owner or self._is_moderator(user_id),
            "slowSeconds": rules.slow_seconds,
            "readOnly": rules.read_only,
        }

    def _holds(self, until: dict[str, datetime | None], user_id: str) -> bool:
        return user_id in until and ((end := until[user_id]) is None or self.room.now() < end)

    def _is_owner(self, user_id: str) -> bool:
        return user_id == self._rules.owner or user_id in self.settings.admins

    def _is_moderator(self, user_id: str) -> bool:
        return self._is_owner(user_id) or user_id in self._rules.moderators

    # -- what changes it -----------------------------------------------------------------------------------------------

    @command()
    async def kick(self, caller: Caller, kick: Kick) -> Moderation:
        self._check_may_moderate(caller, kick.user_id)
        self.room.remove(kick.user_id, "kicked", f"{caller.user_id} put you out of this room.")
        return self._shown(caller.user_id)

    @command()
    async def ban(self, caller: Caller, ban: Ban) -> Moderation:
        self._check_may_moderate(caller, ban.user_id)
        self._rules.banned = self._with(self._rules.banned, ban.user_id, ban.seconds)
        await self._change()
        self.room.remove(ban.user_id, "banned", f"{caller.user_id} banned you from this room.")
        return self._shown(caller.user_id)

    @command()
    async def unban(self, caller: Caller, unban: Unban) -> Moderation:
        self._check_moderator(caller)
        self._rules.banned.pop(unban.user_id, None)
        return await self._changed(caller)

    @command()
    async def mute(self, caller: Caller, mute: Mute) -> Moderation:
        self._check_may_moderate(caller, mute.user_id)
        self._rules.muted = self._with(self._rules.muted, mute.user_id, mute.seconds)
        return await self._changed(caller)

    @command()
    async def unmute(self, caller: Caller, unmute: Unmute) -> Moderation:
        self._check_moderator(caller)
        self._rules.muted.pop(unmute.user_id, None)
        return await self._changed(caller)

    @command()
    async def slow_mode(self, caller: Caller, slow_mode: SlowMode) -> Moderation:
        self._check_moderator(caller)
        self._rules.slow_seconds = slow_mode.seconds
        return await self._changed(caller)

    @command()
    async def read_only(self, caller: Caller, read_only: ReadOnly) -> Moderation:
        self._check_moderator(caller)
        self._rules.read_only = read_only.on
        return await self._changed(caller)

    @command()
    async def appoint(self, caller: Caller, appoint: Appoint) -> Moderation:
        self._check_owner(caller)
        await self._check_exists(appoint.user_id)
        if appoint.user_id not in self._rules.moderators:
            if len(self._rules.moderators) >= LISTED:
                raise Refused("too_many", f"A room has at most {LISTED} moderators.")
            self._rules.moderators.append(appoint.user_id)
        return await self._changed(caller)

    @command()
    async def dismiss(self, caller: Caller, dismiss: Dismiss) -> Moderation:
        self._check_owner(caller)
        if dismiss.user_id in self._rules.moderators:
            self._rules.moderators.remove(dismiss.user_id)
        return await self._changed(caller)

    @command()
    async def transfer_room(self, caller: Caller, transfer: TransferRoom) -> Moderation:
        self._check_owner(caller)
        await self._check_exists(transfer.user_id)
        self._rules.owner = transfer.user_id
        return await self._changed(caller)

    @command()
    def show(self, caller: Caller, show: ShowModeration) -> Moderation:
        self.room.subscribe(caller)
        return self._shown(caller.user_id)

    def _check_owner(self, caller: Caller) -> None:
        if not self._is_owner(caller.user_id):
            raise Refused("not_owner", "Only the owner of the room may do this.")

    async def _check_exists(self, user_id: str) -> None:
        # Or else whoever registers under that name one day would have the power.
        if not await self.room.user_exists(user_id):
            raise Refused("no_such_user", f"There is no user {user_id}.")

    def _check_moderator(self, caller: Caller) -> None:
        if not self._is_moderator(caller.user_id):
            raise Refused("not_moderator", "Only moderators of the room may do this.")

    def _check_may_moderate(self, caller: Caller, user_id: str) -> None:
        self._check_moderator(caller)
        if self._is_owner(user_id) or (self._is_moderator(user_id) and not self._is_owner(caller.user_id)):
            raise Refused("is_moderator", f"{user_id} moderates this room as well.")

    def _with(
        self, until: dict[str, datetime | None], user_id: str, seconds: float | None
    ) -> dict[str, datetime | None]:
        held = {who: end for who, end in until.items() if self._holds(until, who)}
        if len(held) >= LISTED and user_id not in held:
            raise Refused("too_many", f"{LISTED} users are on this list already; take some off first.")
        return {**held, user_id: None if seconds is None else self.room.now() + timedelta(seconds=seconds)}

    async def _changed(self, caller: Caller) -> Moderation:
        await self._change()
        return self._shown(caller.user_id)

    async def _change(self) -> None:
        await self._keep()
        self.room.tell_subscribers(self._shown(""))

    async def _keep(self) -> None:
        await self.store.put("rules", self._rules)

    def _shown(self, user_id: str) -> Moderation:
        rules = self._rules
        lists = (rules.banned, rules.muted) if self._is_moderator(user_id) else (None, None)
        return Moderation(self.room.room_id, rules.owner, rules.moderators, rules.slow_seconds, rules.read_only, *lists)

    @classmethod
    def matches(cls, room_id: str, settings: ModerationSettings) -> bool:
        return any(fnmatchcase(room_id, pattern) for pattern in settings.rooms)


extension = Extension(name="moderation", room_kinds=[ModeratedRoom], settings=ModerationSettings)
