"""The messages to and from a room."""

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
"""Maximum number of user ids in a `UserList`."""


class JoinRoom(msgspec.Struct, frozen=True):
    """Admit a session. It receives `joined`; the other members receive `user_joined` if the user was not in yet."""

    member: Member
    request_id: str | None = None


class JoinedRoom(msgspec.Struct, frozen=True):
    """The answer to `JoinSilently`: the last sequence number, and the state that the room kinds send to new members."""

    last_seq: int
    state: Any = None


class JoinSilently(Request[JoinedRoom | Refusal], msgspec.Struct, frozen=True):
    """Like `JoinRoom`, but the room sends nothing to the new member itself."""

    member: Member


class CheckJoin(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Ask a room with a room kind whether it would admit a user. Answered with a refusal or None.

    A session asks before it leaves its current room, so that a refused user stays there.
    """

    user_id: str
    is_query: bool = False
    """Whether the session only reads the room. A room without members then closes at once."""


class LeaveRoom(Request[None], msgspec.Struct, frozen=True):
    """Remove a member after its earlier posts. Answered once removed: the room sends it nothing more."""

    session: AnyRef


class PostToRoom(msgspec.Struct, frozen=True):
    """Post a message as a member."""

    session: AnyRef
    content: str
    client_msg_id: str | None = None
    request_id: str | None = None


class PostAs(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Post a message as a user without being a member. Answered with a refusal, or with None once it is stored."""

    user_id: str
    content: str
    posted_by: Any = None
    """The handle of the room kind that posts, if any. That kind's `on_post` is not called."""


class UserList(msgspec.Struct, frozen=True):
    """The number of users in a room, and at most `MEMBERS_LISTED` of their ids."""

    count: int
    users: Sequence[str]


class ListUsers(Request[UserList], msgspec.Struct, frozen=True):
    """Ask for the users in a room."""


class Flush(Request[None], msgspec.Struct, frozen=True):
    """Answered once all messages that the room has accepted are stored and delivered."""


class AssignKind(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Give an unused room a room kind. Answered with a refusal or None."""

    chosen_as: str
    creator: str


class NotAMember(msgspec.Struct, frozen=True):
    """Sent to a session that is not, or no longer, a member of the room: it posted too late, or its join failed."""

    room: AnyRef


class MemberRemoved(msgspec.Struct, frozen=True):
    """Sent to a session that the room refuses to admit, or that must leave. The session then leaves by `LeaveRoom`."""

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
"""The actor type of rooms; the key is the room id: `context.get_or_spawn(ROOMS, room_id)`."""
