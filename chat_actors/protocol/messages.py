"""What the server may send: one frozen record for each message, `type` first and the fields in their fixed order."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class _Message(msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True):
    """Base of every message of the server."""


class _Answer(_Message, frozen=True, kw_only=True):
    """Base of what answers a request of one client."""

    request_id: str | None = msgspec.field(default=None, name="id")
    """The request's own `id`, if it had one."""


class Challenge(_Answer, frozen=True, tag="challenge"):
    """32 random bytes in standard base64, to be signed."""

    challenge: str


class Registered(_Answer, frozen=True, tag="registered"):
    user_id: str
    message: str


class Authenticated(_Answer, frozen=True, tag="authenticated"):
    user_id: str
    message: str


class Joined(_Answer, frozen=True, tag="joined"):
    """To the one who joined. `seq` if the request had an `id` or a `since`, what follows it if it had a `since`."""

    room_id: str
    user_id: str
    message: str
    seq: int | None = None
    """The number of the last message before one joined: what is after it comes live."""
    recovered: bool | None = None
    """Whether all that was missed follows now."""
    missed: int | None = None
    """How many messages there were since; those that are still kept follow now."""
    lost: int | None = None
    """How many of them are not kept any more. Only if not recovered, and only if that can be known."""
    state: Any = None


class UserJoined(_Message, frozen=True, tag="user_joined"):
    """To the others in the room."""

    user_id: str
    room_id: str
    message: str


class UserLeft(_Message, frozen=True, tag="user_left"):
    """To the others in the room."""

    user_id: str
    room_id: str
    message: str


class ChatMessage(_Message, frozen=True, tag="chat_message"):
    """To every member, the sender included. `seq` is strictly increasing within the room, not always by one."""

    user_id: str
    room_id: str
    content: str
    timestamp: str
    seq: int


class Accepted(_Answer, frozen=True, tag="accepted"):
    """To the sender alone: the message with this `clientMsgId` is stored, now or since an earlier try."""

    client_msg_id: str
    seq: int
    timestamp: str


class Left(_Answer, frozen=True, tag="left"):
    """To the one who left: nothing of that room comes any more."""

    room_id: str


class MemberList(_Answer, frozen=True, tag="members"):
    """Who is in a room: the `count` of users, and their ids, of very many only some."""

    room_id: str
    members: list[str]
    count: int


class History(_Answer, frozen=True, tag="history"):
    """Messages of a room, oldest first. `first` and `last` are their numbers, null if there are none.

    `more`: whether there are more in the direction of reading.
    """

    room_id: str
    messages: list[ChatMessage]
    first: int | None
    last: int | None
    more: bool


class Pong(_Answer, frozen=True, tag="pong"):
    """`time` is the server's, UTC in ISO 8601 with milliseconds."""

    time: str


class ExtensionMessage(_Answer, frozen=True, kw_only=True):
    """Base of the messages that extensions add: a subclass names its `tag`, which is its `type` on the wire."""


class Error(_Answer, frozen=True, tag="error"):
    """Something was wrong; the connection stays open. `code` is a stable word for programs."""

    message: str
    code: str | None = None
    room_id: str | None = None
    """If the connection has been put out of this room, by what it did not ask for: there, nothing is heard any more."""


ServerMessage: TypeAlias = (
    Challenge
    | Registered
    | Authenticated
    | Joined
    | UserJoined
    | UserLeft
    | ChatMessage
    | Accepted
    | Left
    | MemberList
    | History
    | Pong
    | Error
)
"""The built-in messages."""

AnyMessage: TypeAlias = ServerMessage | ExtensionMessage


def registered(user_id: str, request_id: str | None = None) -> Registered:
    return Registered(user_id, "Registration successful", request_id=request_id)


def authenticated(user_id: str, request_id: str | None = None) -> Authenticated:
    return Authenticated(user_id, "Authentication successful", request_id=request_id)


def joined(user_id: str, room_id: str, request_id: str | None = None, seq: int | None = None) -> Joined:
    return Joined(room_id, user_id, f"Joined room: {room_id}", seq, request_id=request_id)


def user_joined(user_id: str, room_id: str) -> UserJoined:
    return UserJoined(user_id, room_id, f"{user_id} joined the room")


def user_left(user_id: str, room_id: str) -> UserLeft:
    return UserLeft(user_id, room_id, f"{user_id} left the room")
