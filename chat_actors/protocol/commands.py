"""The commands of clients: one frozen struct for each, a tagged union on the wire."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec

from chat_actors.protocol.fields import (
    Additional,
    ClientMsgId,
    ClientName,
    Content,
    FeatureName,
    OwnName,
    PageSize,
    ProtocolPart,
    PublicKey,
    RequestId,
    RoomName,
    Seq,
    Signature,
)

REQUEST_ID_CHARS = 64
"""The longest `id` of a request."""

CLIENT_MSG_ID_CHARS = 64
"""The longest `clientMsgId`."""


PROTOCOL_PART = 3
"""The highest part of the protocol that this version knows."""


class BaseCommand(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", omit_defaults=True):
    """Base of every command. Fields are camelCase on the wire; unknown fields are ignored."""

    request_id: RequestId | None = msgspec.field(default=None, name="id")
    """The answer or the error carries the same `id`."""


class Hello(BaseCommand, frozen=True, tag="hello"):
    """Ask what the server offers, in any state. `features` opts this connection in to their messages."""

    protocol: ProtocolPart | None = None
    features: Annotated[Sequence[FeatureName], msgspec.Meta(description="What the client understands.")] | None = None
    client: ClientName | None = None


class GetChallenge(BaseCommand, frozen=True, tag="get_challenge"):
    """Request a challenge to sign."""


class Register(BaseCommand, frozen=True, tag="register"):
    """Make an account with a name and an RSA public key in PEM."""

    user_id: OwnName
    public_key: PublicKey


class Authenticate(BaseCommand, frozen=True, tag="authenticate"):
    """Log in as `user_id` with a base64 signature of the challenge."""

    user_id: OwnName
    signature: Signature


class Join(BaseCommand, frozen=True, tag="join"):
    """Join a room; without `room_id`, the one named after the user. With `since`, later messages are replayed first.

    The connection leaves its current room, and this one becomes the current room. With `additional`, it leaves no room.
    """

    user_id: OwnName
    room_id: RoomName | None = None
    since: Seq | None = None
    additional: Additional | None = None


class Post(BaseCommand, frozen=True, tag="chat_message"):
    """Send a message to a room, sender included; without `room_id`, to the current room.

    With `client_msg_id`, repeated sends are stored once.
    """

    content: Content
    client_msg_id: ClientMsgId | None = None
    room_id: RoomName | None = None


class SwitchRoom(BaseCommand, frozen=True, tag="switch_room"):
    """Leave the current room and join another, which becomes the current room."""

    room_id: RoomName


class Leave(BaseCommand, frozen=True, tag="leave"):
    """Leave a room, and join no other; without `room_id`, leave the current room."""

    room_id: RoomName | None = None


class ListMembers(BaseCommand, frozen=True, tag="members"):
    """List the users in a room; without `room_id`, in the current room."""

    room_id: RoomName | None = None


class ReadHistory(BaseCommand, frozen=True, tag="history"):
    """Read messages of a room: the newest, or the newest before `before`, or the oldest after `after`."""

    room_id: RoomName | None = None
    before: Seq | None = None
    after: Seq | None = None
    limit: PageSize | None = None


class Ping(BaseCommand, frozen=True, tag="ping"):
    """Send a heartbeat, for clients that cannot send WebSocket pings."""


UserId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{3,32}\Z", description="A user.", examples=["bob"])]
"""Type of a field that holds a user id, for the commands of extensions."""


class ExtensionCommand(BaseCommand, frozen=True, kw_only=True):
    """Base of the commands that extensions add. The `tag` of a subclass is its `type` on the wire.

    `room_id` names the room that the command is about, one of the connection's; without it, that is the current room. A
    subclass with a required field `room_id` gives it its own meaning.
    """

    room_id: RoomName | None = None

    @property
    def named_room(self) -> str | None:
        """The room that the command names, or None: it names none, or gives `room_id` its own meaning."""
        return None if has_own_room_id(type(self)) else self.room_id


@functools.cache
def has_own_room_id(command: type[ExtensionCommand]) -> bool:
    """Whether a command has a required field `room_id`, which has its own meaning."""
    return any(field.name == "room_id" and field.required for field in msgspec.structs.fields(command))


Command: TypeAlias = (
    Hello | GetChallenge | Register | Authenticate | Join | Post | SwitchRoom | Leave | ListMembers | ReadHistory | Ping
)
"""The built-in commands."""

AnyCommand: TypeAlias = Command | ExtensionCommand
