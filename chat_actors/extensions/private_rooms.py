"""Rooms that only those may enter, or read, who have been invited.

A room is private if its name matches the settings, or if it was made so: `{"type": "create_room", "roomId": "...",
"kind": "private"}`. It belongs to the user that it is named after, if there was that user before it was anybody's; or
else to whoever made it, or entered it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from chat_actors import (
    Caller,
    Command,
    Extension,
    Message,
    Rate,
    Refused,
    RoomKind,
    Scope,
    Service,
    UserId,
    command,
    handles,
)

GUESTS = 1000
"""Users who may be invited into one room."""

INVITATIONS = 100
"""Invitations of a user that are kept: the newest."""


class PrivateRoomsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.private_rooms]`"""

    rooms: tuple[str, ...] = ("private-*",)
    """The names of rooms that are private, as patterns."""


class Guests(msgspec.Struct):
    """What is kept of a room: whose it is, and who may come."""

    owner: str = ""
    invited: list[str] = []


class Invite(Command, frozen=True, tag="invite"):
    """Let somebody in, and let them know. Whoever is in a private room may invite."""

    user_id: UserId


class Uninvite(Command, frozen=True, tag="uninvite"):
    """Let somebody in no longer, and put them out. For the owner."""

    user_id: UserId


class ListGuests(Command, frozen=True, tag="guests"):
    """Who may come into this room."""


class ListInvitations(Command, frozen=True, tag="invitations"):
    """Where one is invited, and from now on every new invitation."""


class GuestList(Message, frozen=True, tag="guests"):
    room_id: str
    owner: str
    invited: Sequence[str]


class Invitation(msgspec.Struct, frozen=True, rename="camel"):
    room_id: str
    invited_by: str


class InvitationList(Message, frozen=True, tag="invitations"):
    """The oldest first."""

    invitations: Sequence[Invitation]


class Invited(Message, frozen=True, tag="invited"):
    """To somebody who has been invited just now."""

    room_id: str
    invited_by: str


class NoLongerInvited(msgspec.Struct, frozen=True):
    """A room's message to a user's invitations."""

    room_id: str


class Invitations(Service):
    """The invitations of one user."""

    scope = Scope.USER

    async def on_start(self) -> None:
        self._invitations = await self.store.get("invitations", list[Invitation], [])

    @command(rate=Rate(1, 10))
    def list_invitations(self, caller: Caller, asked: ListInvitations) -> InvitationList:
        self.subscribe(caller)
        return InvitationList(self._invitations)

    @handles
    async def invited(self, invitation: Invitation) -> None:
        await self._keep(invitation.room_id, [invitation])
        self.tell_subscribers(Invited(invitation.room_id, invitation.invited_by))

    @handles
    async def no_longer_invited(self, message: NoLongerInvited) -> None:
        await self._keep(message.room_id, [])

    async def _keep(self, room_id: str, instead: Sequence[Invitation]) -> None:
        others = [invitation for invitation in self._invitations if invitation.room_id != room_id]
        self._invitations = [*others, *instead][-INVITATIONS:]
        await self.store.put("invitations", self._invitations)


class PrivateRoom(RoomKind):
    """Lets in whom it knows."""

    chosen_as = "private"

    async def on_open(self) -> None:
        self._guests = await self.store.get("guests", Guests, Guests())
        if not self._guests.owner:
            # Whoever takes the name of a room later must not come into it so: asked once, when it is nobody's.
            is_named_after_user = await self.room.user_exists(self.room.room_id)
            self._guests.owner = self.room.room_id if is_named_after_user else self.room.creator
            if self._guests.owner:
                await self._keep()

    async def may_join(self, user_id: str) -> None:
        if self._guests.owner not in ("", user_id) and user_id not in self._guests.invited:
            raise Refused("private_room", "This room is private. Ask somebody in it to invite you.")

    def on_join(self, user_id: str) -> None:
        if not self._guests.owner:
            self._guests.owner = user_id
            self.room.after(0, self._keep)

    def state_for(self, user_id: str) -> Any:
        return {"private": True, "owner": self._guests.owner or user_id}

    @command(rate=Rate(1, 10))
    async def invite(self, caller: Caller, invite: Invite) -> GuestList:
        guests = self._guests
        if invite.user_id != guests.owner and invite.user_id not in guests.invited:
            if not await self.room.user_exists(invite.user_id):
                # Or else whoever registers under that name one day would get in.
                raise Refused("no_such_user", f"There is no user {invite.user_id}.")
            if len(guests.invited) >= GUESTS:
                raise Refused("too_many", f"At most {GUESTS} users may be invited into a room.")
            guests.invited.append(invite.user_id)
            await self._keep()
            self.room.service(Invitations, invite.user_id).tell(Invitation(self.room.room_id, caller.user_id))
        return self._listed()

    @command(rate=Rate(1, 10))
    async def uninvite(self, caller: Caller, uninvite: Uninvite) -> GuestList:
        guests = self._guests
        if caller.user_id != guests.owner:
            raise Refused("not_owner", "Only the owner of the room may do this.")
        if uninvite.user_id in guests.invited:
            guests.invited.remove(uninvite.user_id)
            await self._keep()
            self.room.service(Invitations, uninvite.user_id).tell(NoLongerInvited(self.room.room_id))
            self.room.remove(uninvite.user_id, "uninvited", f"{caller.user_id} put you out of this room.")
        return self._listed()

    @command()
    def list_guests(self, caller: Caller, asked: ListGuests) -> GuestList:
        return self._listed()

    def _listed(self) -> GuestList:
        return GuestList(self.room.room_id, self._guests.owner, self._guests.invited)

    async def _keep(self) -> None:
        await self.store.put("guests", self._guests)

    @classmethod
    def matches(cls, room_id: str, settings: PrivateRoomsSettings) -> bool:
        return any(fnmatchcase(room_id, pattern) for pattern in settings.rooms)


extension = Extension(
    name="private_rooms", services=[Invitations], room_kinds=[PrivateRoom], settings=PrivateRoomsSettings
)
