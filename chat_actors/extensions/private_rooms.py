"""Rooms that only the owner and invited users may join or read.

A room is private if its name matches the settings, or if it was created as private: `{"type": "create_room",
"roomId": "...", "kind": "private"}`. Its owner is the user whose name the room has, if that user registered before the
room had an owner; otherwise the creator, or the first user who joins.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from chat_actors import (
    ActorStopped,
    AskFailed,
    AskTimeout,
    Caller,
    Command,
    Extension,
    Message,
    Rate,
    Refused,
    RemovedUser,
    RoomKind,
    UserId,
    command,
)
from chat_actors.extensions.invitations import (
    Accepted,
    Invitations,
    Invited,
    NoLongerInvited,
    PrivateRoomsSettings,
    SendInvitation,
)

MAX_GUESTS = 1000
"""Users that may be invited into one room."""


class Guests(msgspec.Struct):
    """The owner and the invited users of a room, as stored."""

    owner: str = ""
    """`RemovedUser.STAND_IN` if the owner's account was removed: then no user is the owner, or can become it."""

    invited: list[str] = []


class Invite(Command, frozen=True, tag="invite"):
    """Allow a user to join, and notify the user. For all members."""

    user_id: UserId


class Uninvite(Command, frozen=True, tag="uninvite"):
    """Withdraw an invitation, and remove the user from the room. For the owner."""

    user_id: UserId


class ListGuests(Command, frozen=True, tag="guests"):
    """List the users who may join the room."""


class GuestList(Message, frozen=True, tag="guests"):
    room_id: str
    owner: str
    invited: Sequence[str]


class PrivateRoom(RoomKind):
    """Admits the owner and invited users."""

    chosen_as = "private"

    async def on_open(self) -> None:
        self._guests = await self.store.get("guests", Guests, Guests())
        if not self._guests.owner:
            # Checked only while the room has no owner: a user who registers under its name later must not get in.
            is_named_after_user = await self.room.user_exists(self.room.room_id)
            self._guests.owner = self.room.room_id if is_named_after_user else self.room.creator
            if self._guests.owner:
                await self._save()

    async def may_join(self, user_id: str) -> None:
        if self._guests.owner not in ("", user_id) and user_id not in self._guests.invited:
            raise Refused("private_room", "This room is private. Ask a member to invite you.")

    may_stay = may_join

    def on_join(self, user_id: str) -> None:
        if user_id in self._guests.invited:
            self.room.service(Invitations, user_id).tell(Accepted(self.room.room_id))
        if not self._guests.owner:
            self._guests.owner = user_id
            self.room.after(0, self._save)

    def state_for(self, user_id: str) -> Any:
        return {"private": True, "owner": self._guests.owner or user_id}

    @command(rate=Rate(1, 10))
    async def invite(self, caller: Caller, invite: Invite) -> GuestList:
        guests = self._guests
        if invite.user_id != guests.owner and invite.user_id not in guests.invited:
            if not await self.room.user_exists(invite.user_id):
                # Otherwise a user who registers under this name later would be admitted.
                raise Refused("no_such_user", f"There is no user {invite.user_id}.")
            if len(guests.invited) >= MAX_GUESTS:
                raise Refused("too_many", f"At most {MAX_GUESTS} users may be invited into a room.")
            await self._send_invitation(invite.user_id, caller.user_id)
            guests.invited.append(invite.user_id)
            await self._save()
        return self._guest_list()

    async def _send_invitation(self, user_id: str, invited_by: str) -> None:
        request = SendInvitation(self.room.room_id, invited_by)
        try:
            is_stored = await self.room.ask_service(Invitations, user_id, request)
        except (ActorStopped, AskFailed, AskTimeout):
            raise Refused("internal_failure", "The invitation could not be sent. Try again later.") from None
        if not is_stored:
            raise Refused("quota_full", f"{user_id} has not accepted your last invitations yet. Wait until then.")

    @command(rate=Rate(1, 10))
    async def uninvite(self, caller: Caller, uninvite: Uninvite) -> GuestList:
        guests = self._guests
        if caller.user_id != guests.owner:
            raise Refused("not_owner", "Only the owner of the room may do this.")
        if uninvite.user_id in guests.invited:
            guests.invited.remove(uninvite.user_id)
            await self._save()
            self.room.service(Invitations, uninvite.user_id).tell(NoLongerInvited(self.room.room_id))
            self.room.remove(uninvite.user_id, "uninvited", f"{caller.user_id} withdrew your invitation to this room.")
        return self._guest_list()

    @command()
    def list_guests(self, caller: Caller, request: ListGuests) -> GuestList:
        return self._guest_list()

    @classmethod
    async def on_user_removed(cls, removed: RemovedUser) -> None:
        """Withdraw the user's invitation. A room of the user stays closed, except to its guests."""
        guests = await removed.store.get("guests", Guests, Guests())
        if guests.owner == removed.user_id:
            guests.owner = RemovedUser.STAND_IN
        guests.invited = [user_id for user_id in guests.invited if user_id != removed.user_id]
        await removed.store.put("guests", guests)

    def _guest_list(self) -> GuestList:
        return GuestList(self.room.room_id, self._guests.owner, self._guests.invited)

    async def _save(self) -> None:
        await self.store.put("guests", self._guests)

    @classmethod
    def matches(cls, room_id: str, settings: PrivateRoomsSettings) -> bool:
        return any(fnmatchcase(room_id, pattern) for pattern in settings.rooms)


extension = Extension(
    name="private_rooms",
    services=[Invitations],
    room_kinds=[PrivateRoom],
    messages=[Invited],
    settings=PrivateRoomsSettings,
)
