"""The messages from the server: one frozen struct for each, with `type` first and the fields in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec

from chat_actors.protocol.fields import (
    Additional,
    ChallengeText,
    ClientMsgId,
    Content,
    Count,
    ErrorCode,
    FeatureName,
    FieldName,
    HasMore,
    KindStates,
    LastBefore,
    Lost,
    Missed,
    Number,
    ProtocolPart,
    Recovered,
    RemovedFrom,
    RequestId,
    RoomName,
    Text,
    Timestamp,
    UserName,
)


class _Message(msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True):
    """Base of every message of the server."""


class _Answer(_Message, frozen=True, kw_only=True):
    """Base of the answers to a request of one client."""

    request_id: RequestId | None = msgspec.field(default=None, name="id")


class ClientLimits(msgspec.Struct, frozen=True, rename="camel"):
    """The server's limits that a client should know. 0: no limit."""

    frame_bytes: Annotated[float, msgspec.Meta(description="Bytes of one text frame.", examples=[65536])]
    content_chars: Annotated[float, msgspec.Meta(description="Unicode code points of one content.", examples=[4000])]
    messages_per_second: Annotated[float, msgspec.Meta(description="Frames per second of one user.", examples=[20])]
    message_burst: Annotated[float, msgspec.Meta(description="Frames of one user in one burst.", examples=[60])]
    rooms_per_connection: Annotated[float, msgspec.Meta(description="Rooms on one connection.", examples=[50])]
    page_size: Annotated[float, msgspec.Meta(description="Most messages in one `history`.", examples=[200])]


LIMITS_DESCRIPTION = (
    "`frameBytes` of one frame, `contentChars` of one content in Unicode code points, `messagesPerSecond` and "
    "`messageBurst` of one user, `roomsPerConnection`, and `pageSize`, the most messages in one `history`. 0: no limit."
)

LimitTable: TypeAlias = Annotated[ClientLimits, msgspec.Meta(description=LIMITS_DESCRIPTION)]


class Welcome(_Answer, frozen=True, tag="welcome"):
    """The answer to `hello`: the server, the part of the protocol that both know, its features and its limits."""

    server: Annotated[str, msgspec.Meta(description="The server's software.", examples=["chat_actors"])]
    version: Annotated[str, msgspec.Meta(description="Its version.", examples=["0.1.0"])]
    protocol: ProtocolPart
    features: Annotated[Sequence[FeatureName], msgspec.Meta(description="What the server offers.")]
    limits: LimitTable
    time: Timestamp


class Challenge(_Answer, frozen=True, tag="challenge"):
    """32 random bytes in standard base64, to sign."""

    challenge: ChallengeText


class Registered(_Answer, frozen=True, tag="registered"):
    """The account has been made."""

    user_id: UserName
    message: Text


class Authenticated(_Answer, frozen=True, tag="authenticated"):
    """The user is logged in."""

    user_id: UserName
    message: Text


class Joined(_Answer, frozen=True, tag="joined"):
    """To the client that joined. `additional`, and always `seq`, if the room is one besides the current room.

    Otherwise `seq` comes if the request had an `id` or a `since`. `recovered`, `missed` and `lost` come if it had a
    `since`.
    """

    room_id: RoomName
    user_id: UserName
    message: Text
    seq: LastBefore | None = None
    recovered: Recovered | None = None
    missed: Missed | None = None
    lost: Lost | None = None
    state: KindStates = None
    additional: Additional | None = None


class UserJoined(_Message, frozen=True, tag="user_joined"):
    """To the others in the room."""

    user_id: UserName
    room_id: RoomName
    message: Text


class UserLeft(_Message, frozen=True, tag="user_left"):
    """To the others in the room."""

    user_id: UserName
    room_id: RoomName
    message: Text


class ChatMessage(_Message, frozen=True, tag="chat_message"):
    """To every member, the sender included. `seq` is strictly increasing within the room, not always by one."""

    user_id: UserName
    room_id: RoomName
    content: Content
    timestamp: Timestamp
    seq: Number


class Accepted(_Answer, frozen=True, tag="accepted"):
    """To the sender alone: the message with this `clientMsgId` is stored, now or by an earlier attempt."""

    client_msg_id: ClientMsgId
    seq: Number
    timestamp: Timestamp


class Left(_Answer, frozen=True, tag="left"):
    """To the client that left: no more messages come from that room."""

    room_id: RoomName


class MemberList(_Answer, frozen=True, tag="members"):
    """The users in a room: their `count` and their ids, at most 1,000 of them."""

    room_id: RoomName
    members: list[UserName]
    count: Count


class History(_Answer, frozen=True, tag="history"):
    """Messages of a room, oldest first. `first` and `last` are their numbers, null if there are none.

    `more`: whether there are more in the direction of reading.
    """

    room_id: RoomName
    messages: list[ChatMessage]
    first: Number | None
    last: Number | None
    more: HasMore


class Pong(_Answer, frozen=True, tag="pong"):
    """The answer to a ping. `time` is the server's, UTC in ISO 8601 with milliseconds."""

    time: Timestamp


class ExtensionMessage(_Message, frozen=True, kw_only=True, omit_defaults=False):
    """Base of the messages that extensions add. The `tag` of a subclass is its `type` on the wire.

    Each field is sent, also one with its default value. To leave a field out, give it the default `msgspec.UNSET`.
    """

    request_id: RequestId | msgspec.UnsetType | None = msgspec.field(default=msgspec.UNSET, name="id")
    """The `id` of the command that the message answers; `UNSET` for any other message."""

    def __post_init__(self) -> None:
        if self.request_id is None:  # an answer to a command without an `id` has none
            msgspec.structs.force_setattr(self, "request_id", msgspec.UNSET)


class Error(_Answer, frozen=True, tag="error"):
    """The command was refused, or failed; the connection stays open. `code` is stable, for programs."""

    message: Text
    code: ErrorCode | None = None
    room_id: RemovedFrom | None = None
    field: FieldName | None = None


ServerMessage: TypeAlias = (
    Welcome
    | Challenge
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


def joined(
    user_id: str, room_id: str, request_id: str | None = None, seq: int | None = None, *, additional: bool = False
) -> Joined:
    text = f"Joined room: {room_id}"
    return Joined(room_id, user_id, text, seq, additional=additional or None, request_id=request_id)


def user_joined(user_id: str, room_id: str) -> UserJoined:
    return UserJoined(user_id, room_id, f"{user_id} joined the room")


def user_left(user_id: str, room_id: str) -> UserLeft:
    return UserLeft(user_id, room_id, f"{user_id} left the room")
