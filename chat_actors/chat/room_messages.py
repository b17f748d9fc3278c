"""What may be sent to a room, and what a room sends to sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from chat_actors.chat.command_method import Call
from chat_actors.chat.members import Member
from chat_actors.kernel import ActorType, AnyRef, Request
from chat_actors.protocol import Refusal
from chat_actors.storage import Committed

MEMBERS_LISTED = 1000
"""User ids in the answer to who is here, at most."""


class JoinRoom(msgspec.Struct, frozen=True):
    """Let a connection in. It is told `joined`; the others are told `user_joined` if the user was not here yet."""

    member: Member
    request_id: str | None = None


class JoinedRoom(msgspec.Struct, frozen=True):
    """Somebody is in: the number of the last message before, and what the room's kind tells newcomers."""

    last_seq: int
    state: Any = None


class JoinSilently(Request[JoinedRoom | Refusal], msgspec.Struct, frozen=True):
    """As `JoinRoom`, without a word to the one who enters."""

    member: Member


class CheckJoin(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Ask, before leaving the room where one is, whether a room of a kind would let a user in: why not, or None."""

    user_id: str


class LeaveRoom(Request[None], msgspec.Struct, frozen=True):
    """Let a connection go, after all that it has said. Answered when it is out: it gets nothing from here any more."""

    session: AnyRef


class PostToRoom(msgspec.Struct, frozen=True):
    """Say something to everybody in the room."""

    session: AnyRef
    content: str
    client_msg_id: str | None = None
    request_id: str | None = None


class PostAs(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Say something without being in the room, as this user. The answer is why it was not said, or None: it is stored,
    and everybody here hears it."""

    user_id: str
    content: str
    said_by: Any = None
    """The kind's handle, if one of the room's own kinds says it: it is not asked about that."""


class UserList(msgspec.Struct, frozen=True):
    """Who is here: how many users, and the ids of at most `MEMBERS_LISTED` of them."""

    count: int
    users: Sequence[str]


class ListUsers(Request[UserList], msgspec.Struct, frozen=True):
    """Ask for the users in a room."""


class Flush(Request[None], msgspec.Struct, frozen=True):
    """Answered when all that was waiting has been handed out."""


class AssignKind(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Be of a kind that a user has chosen, from now on. The answer is why not, or None."""

    chosen_as: str
    creator: str


class NotAMember(msgspec.Struct, frozen=True):
    """Sent to a session by a room that does not have it as a member, without anybody having removed it."""

    room: AnyRef


class RemovedFromRoom(msgspec.Struct, frozen=True):
    """Sent to a session by a room that removes it, or that does not admit it."""

    room: AnyRef
    refusal: Refusal


RoomMessage: TypeAlias = (
    JoinRoom
    | JoinSilently
    | CheckJoin
    | LeaveRoom
    | PostToRoom
    | PostAs
    | ListUsers
    | Flush
    | Committed
    | Call
    | AssignKind
)

ROOMS: ActorType[RoomMessage] = ActorType("room")
"""Rooms are found by their id: `context.get_or_spawn(ROOMS, room_id)`."""
