"""The invitations of users to private rooms, and the settings of private rooms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec

from chat_actors import Caller, Command, Message, Rate, Request, Scope, Service, command, handles

MAX_INVITATIONS = 100
"""Stored invitations of a user. Accepted ones are deleted first, and then the oldest of the user who has sent most."""


class PrivateRoomsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.private_rooms]`"""

    rooms: tuple[str, ...] = ("private-*",)
    """Patterns of the names of private rooms."""

    invitations_per_sender: Annotated[int, msgspec.Meta(ge=1, le=MAX_INVITATIONS)] = 20
    """Invitations from one sender that a user has not accepted yet. Further ones are refused."""


class ListInvitations(Command, frozen=True, tag="invitations"):
    """List the caller's invitations, and subscribe to new ones."""


class Invitation(msgspec.Struct, frozen=True, rename="camel"):
    room_id: str
    invited_by: str


class StoredInvitation(msgspec.Struct, frozen=True, rename="camel"):
    """`accepted`: whether the user has been in the room since."""

    room_id: str
    invited_by: str
    accepted: bool = False


class InvitationList(Message, frozen=True, tag="invitations"):
    """Oldest invitation first. `lost`: how many were deleted since there were too many."""

    invitations: Sequence[Invitation]
    lost: int


class Invited(Message, frozen=True, tag="invited"):
    """A new invitation, to the invited user."""

    room_id: str
    invited_by: str


class SendInvitation(Request[bool], msgspec.Struct, frozen=True):
    """Request of a room. Answered with whether the invitation is stored; False if the sender's quota is full."""

    room_id: str
    invited_by: str


class Accepted(msgspec.Struct, frozen=True):
    """Message of a room: the invited user has joined."""

    room_id: str


class NoLongerInvited(msgspec.Struct, frozen=True):
    """Message of a room: the invitation was withdrawn."""

    room_id: str


class Invitations(Service):
    """The invitations of one user."""

    scope = Scope.USER

    async def on_start(self) -> None:
        self._invitations = await self.store.get("invitations", list[StoredInvitation], [])
        self._lost: int = await self.store.get("lost", int, 0)

    @command(rate=Rate(1, 10))
    def list_invitations(self, caller: Caller, request: ListInvitations) -> InvitationList:
        self.subscribe(caller)
        return InvitationList([Invitation(each.room_id, each.invited_by) for each in self._invitations], self._lost)

    @handles
    async def send_invitation(self, request: SendInvitation) -> bool:
        others = self._others(request.room_id)
        waiting = sum(each.invited_by == request.invited_by and not each.accepted for each in others)
        if waiting >= self.settings.invitations_per_sender:
            return False
        others.append(StoredInvitation(request.room_id, request.invited_by))
        if len(others) > MAX_INVITATIONS:
            others.remove(_next_to_delete(others))
            self._lost += 1
        await self._save(others)
        self.tell_subscribers(Invited(request.room_id, request.invited_by))
        return True

    @handles
    async def accepted(self, message: Accepted) -> None:
        if any(each.room_id == message.room_id and not each.accepted for each in self._invitations):
            await self._save(
                [
                    msgspec.structs.replace(each, accepted=True) if each.room_id == message.room_id else each
                    for each in self._invitations
                ]
            )

    @handles
    async def no_longer_invited(self, message: NoLongerInvited) -> None:
        await self._save(self._others(message.room_id))

    def _others(self, room_id: str) -> list[StoredInvitation]:
        return [invitation for invitation in self._invitations if invitation.room_id != room_id]

    async def _save(self, invitations: list[StoredInvitation]) -> None:
        self._invitations = invitations
        await self.store.put_all({"invitations": invitations, "lost": self._lost})


def _next_to_delete(invitations: Sequence[StoredInvitation]) -> StoredInvitation:
    for invitation in invitations:
        if invitation.accepted:
            return invitation
    sent = Counter(invitation.invited_by for invitation in invitations)
    most = max(sent.values())
    return next(invitation for invitation in invitations if sent[invitation.invited_by] == most)
