"""The messages to and from a room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from chat_actors.chat.command_method import Call
from chat_actors.chat.members import Member
from chat_actors.kernel import ActorType, AnyRef, Request
from chat_actors.protocol import Refusal
from chat_actors.storage import Committed

MEMBERS_LISTED = 1000
"""Maximum number of user ids in a `UserList`."""


class JoinedRoom(msgspec.Struct, frozen=True):
    """The answer to `JoinRoom`: the room has the member."""

    number: int
    """The number of this join in the room."""
    last_seq: int
    """The number of the last message before the join."""
    state: msgspec.Raw | None = None
    """The state that the room kinds send to new members."""


class JoinRoom(Request[JoinedRoom | Refusal], msgspec.Struct, frozen=True):
    """Admit a session, or answer with a refusal. The other members receive `user_joined` at a user's first connection.

    The room sends `joined` to the member, unless it `replays`: then the session sends it and the missed messages, and
    the member's outbox, a `HeldOutbox`, holds the live ones until `Replayed`.
    """

    member: Member
    request_id: str | None = None
    replays: bool = False
    is_additional: bool = False
    """Whether the room is one more besides the session's current room. `joined` says so."""


class Replayed(msgspec.Struct, frozen=True):
    """The replay of a member has ended: release its live messages."""

    session: AnyRef


class CheckJoin(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Ask a room whether it would admit a user. Answered with a refusal or None.

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
    is_named: bool = False
    """Whether the client's command named the room."""


class PostAs(Request[Refusal | None], msgspec.Struct, frozen=True):
    """Post a message as a user without being a member. Answered with a refusal, or with None once it is stored."""

    user_id: str
    content: str
    posted_by: str = ""
    """The extension whose room kind posts, if one does. That kind's `on_post` and `on_posted` are not called."""


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
    """Sent to a session that has posted: it is not a member of the room. The post is dropped."""

    room: AnyRef
    joins: int
    """The number of the last join in the room. A session that has joined since ignores the notice."""
    request_id: str | None = None
    is_named: bool = False
    """As in `PostToRoom`."""


class MemberRemoved(msgspec.Struct, frozen=True):
    """Sent to a session that the room has removed. It receives nothing more from the room."""

    room: AnyRef
    joins: int
    """As in `NotAMember`."""
    refusal: Refusal


RoomMessage: TypeAlias = (
    JoinRoom
    | Replayed
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
