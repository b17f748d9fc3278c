"""Rooms with an owner and moderators, who may kick, ban and mute users, set slow mode, and make the room read-only.

The owner is the user whose name the room has, if that user registered before the room had an owner; otherwise the first
user who joins. (A user who registers under the name of an owned room later does not become its owner.) The rules do not
apply to bots.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

import anyio
import msgspec

from chat_actors import Caller, Command, Extension, Message, Refused, RemovedUser, RoomKind, UserId, command

MAX_LISTED = 1000
"""The most banned users, muted users and moderators of one room, each."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=315_360_000)]


class ModerationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.moderation]`"""

    rooms: tuple[str, ...] = ("*",)
    """Patterns of the names of moderated rooms."""

    admins: tuple[str, ...] = ()
    """Users with all powers in every moderated room."""


class Rules(msgspec.Struct):
    """The rules of a room, as stored. Bans and mutes have the time of their end; None: permanent."""

    owner: str = ""
    """`RemovedUser.STAND_IN` if the owner's account was removed: then only an admin can appoint another."""

    moderators: list[str] = []
    banned: dict[str, datetime | None] = {}
    muted: dict[str, datetime | None] = {}
    slow_seconds: float = 0.0
    read_only: bool = False


class Kick(Command, frozen=True, tag="kick"):
    """Remove a user from the room. The user may rejoin."""

    user_id: UserId


class Ban(Command, frozen=True, tag="ban"):
    """Remove a user and refuse further joins, for `seconds` or permanently."""

    user_id: UserId
    seconds: Seconds | None = None


class Unban(Command, frozen=True, tag="unban"):
    user_id: UserId


class Mute(Command, frozen=True, tag="mute"):
    """Refuse a user's messages, for `seconds` or permanently."""

    user_id: UserId
    seconds: Seconds | None = None


class Unmute(Command, frozen=True, tag="unmute"):
    user_id: UserId


class SlowMode(Command, frozen=True, tag="slow_mode"):
    """Set the seconds between two messages of a user; 0 ends slow mode."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class ReadOnly(Command, frozen=True, tag="read_only"):
    """Accept messages of moderators only, or of all members."""

    on: bool


class Appoint(Command, frozen=True, tag="appoint"):
    """Make a user a moderator."""

    user_id: UserId


class Dismiss(Command, frozen=True, tag="dismiss"):
    user_id: UserId


class TransferRoom(Command, frozen=True, tag="transfer_room"):
    """Make another user the owner."""

    user_id: UserId


class ShowModeration(Command, frozen=True, tag="moderation"):
    """Show the rules of the room, and subscribe to their changes."""


class Moderation(Message, frozen=True, tag="moderation"):
    """The rules of a room. Only moderators receive `banned` and `muted`."""

    room_id: str
    owner: str
    moderators: Sequence[str]
    slow_seconds: float
    read_only: bool
    banned: dict[str, datetime | None] | msgspec.UnsetType = msgspec.UNSET
    muted: dict[str, datetime | None] | msgspec.UnsetType = msgspec.UNSET


class ModeratedRoom(RoomKind):
    """Enforces the rules of one room, and changes them on command."""

    async def on_open(self) -> None:
        self._rules = await self.store.get("rules", Rules, Rules())
        if not self._rules.owner and await self.room.user_exists(self.room.room_id):
            self._rules.owner = self.room.room_id
            await self._save()
        self._posted_at: dict[str, float] = {}

    # -- enforcement ---------------------------------------------------------------------------------------------------

    async def may_join(self, user_id: str) -> None:
        if self._applies(self._rules.banned, user_id) and not self._is_owner(user_id):
            raise Refused("banned", "You are banned from this room.")

    may_stay = may_join

    def on_join(self, user_id: str) -> None:
        if self._becomes_owner(user_id):
            self._rules.owner = user_id
            self.room.after(0, self._save)

    def _becomes_owner(self, user_id: str) -> bool:
        return not self._rules.owner and not user_id.startswith("bot:")

    async def on_post(self, user_id: str, content: str) -> str:
        if user_id.startswith("bot:"):
            return content
        if self._applies(self._rules.muted, user_id):
            raise Refused("muted", "You are muted in this room.")
        if not self._is_moderator(user_id):
            if self._rules.read_only:
                raise Refused("read_only", "This room is read-only. Only moderators may post.")
            self._check_slow_mode(user_id)
        return content

    def _check_slow_mode(self, user_id: str) -> None:
        now, pause = anyio.current_time(), self._rules.slow_seconds
        if not pause:
            return
        posted_at = now if self.room.is_posting(user_id) else self._posted_at.get(user_id, -pause)
        wait = posted_at + pause - now
        if wait > 0:
            raise Refused("slow_mode", f"This room is in slow mode. Wait {wait:.0f} s before your next message.")

    async def on_posted(self, user_id: str, content: str) -> None:
        now, pause = anyio.current_time(), self._rules.slow_seconds
        if not pause or user_id.startswith("bot:"):
            return
        if len(self._posted_at) >= MAX_LISTED:
            self._posted_at = {user: at for user, at in self._posted_at.items() if now - at < pause}
        self._posted_at[user_id] = now

    def state_for(self, user_id: str) -> Any:
        rules = self._rules
        owner = user_id if self._becomes_owner(user_id) else rules.owner
        return {
            "owner": owner,
            "moderator": user_id == owner or self._is_moderator(user_id),
            "slowSeconds": rules.slow_seconds,
            "readOnly": rules.read_only,
        }

    def _applies(self, until: dict[str, datetime | None], user_id: str) -> bool:
        return user_id in until and ((end := until[user_id]) is None or self.room.now() < end)

    def _is_owner(self, user_id: str) -> bool:
        return user_id == self._rules.owner or user_id in self.settings.admins

    def _is_moderator(self, user_id: str) -> bool:
        return self._is_owner(user_id) or user_id in self._rules.moderators

    # -- commands ------------------------------------------------------------------------------------------------------

    @command()
    async def kick(self, caller: Caller, kick: Kick) -> Moderation:
        self._check_may_moderate(caller, kick.user_id)
        self.room.remove(kick.user_id, "kicked", f"{caller.user_id} put you out of this room.")
        return self._summary_for(caller.user_id)

    @command()
    async def ban(self, caller: Caller, ban: Ban) -> Moderation:
        self._check_may_moderate(caller, ban.user_id)
        self._rules.banned = self._with_entry(self._rules.banned, ban.user_id, ban.seconds)
        await self._save_and_notify()
        self.room.remove(ban.user_id, "banned", f"{caller.user_id} banned you from this room.")
        return self._summary_for(caller.user_id)

    @command()
    async def unban(self, caller: Caller, unban: Unban) -> Moderation:
        self._check_moderator(caller)
        self._rules.banned.pop(unban.user_id, None)
        return await self._save_and_answer(caller)

    @command()
    async def mute(self, caller: Caller, mute: Mute) -> Moderation:
        self._check_may_moderate(caller, mute.user_id)
        self._rules.muted = self._with_entry(self._rules.muted, mute.user_id, mute.seconds)
        return await self._save_and_answer(caller)

    @command()
    async def unmute(self, caller: Caller, unmute: Unmute) -> Moderation:
        self._check_moderator(caller)
        self._rules.muted.pop(unmute.user_id, None)
        return await self._save_and_answer(caller)

    @command()
    async def slow_mode(self, caller: Caller, slow_mode: SlowMode) -> Moderation:
        self._check_moderator(caller)
        self._rules.slow_seconds = slow_mode.seconds
        return await self._save_and_answer(caller)

    @command()
    async def read_only(self, caller: Caller, read_only: ReadOnly) -> Moderation:
        self._check_moderator(caller)
        self._rules.read_only = read_only.on
        return await self._save_and_answer(caller)

    @command()
    async def appoint(self, caller: Caller, appoint: Appoint) -> Moderation:
        self._check_owner(caller)
        await self._check_exists(appoint.user_id)
        if appoint.user_id not in self._rules.moderators:
            if len(self._rules.moderators) >= MAX_LISTED:
                raise Refused("too_many", f"A room has at most {MAX_LISTED} moderators.")
            self._rules.moderators.append(appoint.user_id)
        return await self._save_and_answer(caller)

    @command()
    async def dismiss(self, caller: Caller, dismiss: Dismiss) -> Moderation:
        self._check_owner(caller)
        if dismiss.user_id in self._rules.moderators:
            self._rules.moderators.remove(dismiss.user_id)
        return await self._save_and_answer(caller)

    @command()
    async def transfer_room(self, caller: Caller, transfer: TransferRoom) -> Moderation:
        self._check_owner(caller)
        await self._check_exists(transfer.user_id)
        self._rules.owner = transfer.user_id
        return await self._save_and_answer(caller)

    @command()
    def show(self, caller: Caller, request: ShowModeration) -> Moderation:
        self.room.subscribe(caller)
        return self._summary_for(caller.user_id)

    def _check_owner(self, caller: Caller) -> None:
        if not self._is_owner(caller.user_id):
            raise Refused("not_owner", "Only the owner of the room may do this.")

    async def _check_exists(self, user_id: str) -> None:
        # Otherwise a user who registers under this name later would have the power.
        if not await self.room.user_exists(user_id):
            raise Refused("no_such_user", f"There is no user {user_id}.")

    def _check_moderator(self, caller: Caller) -> None:
        if not self._is_moderator(caller.user_id):
            raise Refused("not_moderator", "Only moderators of the room may do this.")

    def _check_may_moderate(self, caller: Caller, user_id: str) -> None:
        self._check_moderator(caller)
        if self._is_owner(user_id) or (self._is_moderator(user_id) and not self._is_owner(caller.user_id)):
            raise Refused("is_moderator", f"{user_id} is a moderator of this room.")

    def _with_entry(
        self, until: dict[str, datetime | None], user_id: str, seconds: float | None
    ) -> dict[str, datetime | None]:
        current = {user: end for user, end in until.items() if self._applies(until, user)}
        if len(current) >= MAX_LISTED and user_id not in current:
            raise Refused("too_many", f"This list has {MAX_LISTED} users. Remove one first.")
        return {**current, user_id: None if seconds is None else self.room.now() + timedelta(seconds=seconds)}

    async def _save_and_answer(self, caller: Caller) -> Moderation:
        await self._save_and_notify()
        return self._summary_for(caller.user_id)

    async def _save_and_notify(self) -> None:
        await self._save()
        self.room.tell_subscribers(self._summary_for(""))

    async def _save(self) -> None:
        await self.store.put("rules", self._rules)

    def _summary_for(self, user_id: str) -> Moderation:
        rules = self._rules
        lists = (rules.banned, rules.muted) if self._is_moderator(user_id) else (msgspec.UNSET, msgspec.UNSET)
        return Moderation(self.room.room_id, rules.owner, rules.moderators, rules.slow_seconds, rules.read_only, *lists)

    @classmethod
    async def on_user_removed(cls, removed: RemovedUser) -> None:
        """Take all roles, bans and mutes of the user. A room of the user has no owner from now on, only admins."""
        rules, user_id = await removed.store.get("rules", Rules, Rules()), removed.user_id
        if rules.owner == user_id:
            rules.owner = RemovedUser.STAND_IN
        rules.moderators = [moderator for moderator in rules.moderators if moderator != user_id]
        rules.banned.pop(user_id, None)
        rules.muted.pop(user_id, None)
        await removed.store.put("rules", rules)

    @classmethod
    def matches(cls, room_id: str, settings: ModerationSettings) -> bool:
        return any(fnmatchcase(room_id, pattern) for pattern in settings.rooms)


extension = Extension(name="moderation", room_kinds=[ModeratedRoom], messages=[Moderation], settings=ModerationSettings)
