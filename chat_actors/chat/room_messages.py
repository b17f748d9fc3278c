"""What may be sent to a room, and what a room sends to sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from chat_actors.chat.command_method import Call
from chat_actors.chat.members import Member
from chat_actors.kernel import AnyRef, Kind, Request
from chat_actors.protocol import Refusal
from chat_actors.storage import Committed

MEMBERS_LISTED = 1000
"""User ids in the answer to who is here, at most."""


class Enter(msgspec.Struct, frozen=True):
    """Let a connection in. It is told `joined`; the others are told `user_joined` if the user was not here yet."""

    member: Member
    request_id: str | None = None


class Entered(msgspec.Struct, frozen=True):
    """Somebody is in: the number of the last message before, and what the room's kind tells newcomers."""

    last_seq: int
    state: Any = None


class EnterSilently(Request[Entered | Refusal], msgspec.Struct, frozen=True):
    """As `Enter`, without a word to the one who enters."""

    member: Member


class MayEnter(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Ask, before leaving the room where one is, whether a room of a kind would let a user in: why not, or None."""

    user_id: str


class Leave(Request[None], msgspec.Struct, frozen=True):
    """Let a connection go, after all that it has said. Answered when it is out: it gets nothing from here any more."""

    session: AnyRef


class Post(msgspec.Struct, frozen=True):
    """Say something to everybody in the room."""

    session: AnyRef
    content: str
    client_msg_id: str | None = None
    request_id: str | None = None


class Say(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Say something without being in the room, as this user. The answer is why it was not said, or None: it is stored,
    and everybody here hears it."""

    user_id: str
    content: str
    said_by: Any = None
    """The kind's handle, if one of the room's own kinds says it: it is not asked about that."""


class Present(msgspec.Struct, frozen=True):
    """Who is here: how many users, and the ids of at most `MEMBERS_LISTED` of them."""

    count: int
    users: Sequence[str]


class WhoIsHere(Request[Present], msgspec.Struct, frozen=True):
    """Ask for the users in a room."""


class CatchUp(Request[None], msgspec.Struct, frozen=True):
    """Answered when all that was waiting has been handed out."""


class BecomeKind(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Be of a kind that a user has chosen, from now on. The answer is why not, or None."""

    chosen_as: str
    creator: str


class NotInRoom(msgspec.Struct, frozen=True):
    """Told to a session by a room: it is not, or no longer, a member. `why`, if there is more to say than that."""

    room: AnyRef
    why: Refusal | None = None


RoomMessage: TypeAlias = (
    Enter | EnterSilently | MayEnter | Leave | Post | Say | WhoIsHere | CatchUp | Committed | Call | BecomeKind
)

ROOMS: Kind[RoomMessage] = Kind("room")
"""Rooms are found by their id: `context.get_or_spawn(ROOMS, room_id)`."""
