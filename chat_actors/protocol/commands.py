"""What a client may send: one frozen record for each command, a tagged union on the wire."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from chat_actors.protocol.fields import (
    ClientMsgId,
    Content,
    OwnName,
    PageSize,
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


class BaseCommand(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", omit_defaults=True):
    """Base of every command. Fields are camelCase on the wire; what is not named here is ignored."""

    request_id: RequestId | None = msgspec.field(default=None, name="id")
    """Comes back with the answer, or with the error."""


class GetChallenge(BaseCommand, frozen=True, tag="get_challenge"):
    """Ask for something to sign."""


class Register(BaseCommand, frozen=True, tag="register"):
    """Make an account: a name and the PEM text of an RSA public key."""

    user_id: OwnName
    public_key: PublicKey


class Authenticate(BaseCommand, frozen=True, tag="authenticate"):
    """Prove to be `user_id` by a base64 signature of the challenge."""

    user_id: OwnName
    signature: Signature


class Join(BaseCommand, frozen=True, tag="join"):
    """Enter a room; without `room_id`, the one named after the user. With `since`, hear first what came after that."""

    user_id: OwnName
    room_id: RoomName | None = None
    since: Seq | None = None


class Post(BaseCommand, frozen=True, tag="chat_message"):
    """Say something to the room, oneself included; with `client_msg_id` once, however often it is sent."""

    content: Content
    client_msg_id: ClientMsgId | None = None


class SwitchRoom(BaseCommand, frozen=True, tag="switch_room"):
    """Leave the room and enter another."""

    room_id: RoomName


class Leave(BaseCommand, frozen=True, tag="leave"):
    """Leave the room, and enter no other."""


class ListMembers(BaseCommand, frozen=True, tag="members"):
    """Who is in a room; without `room_id`, in this connection's own."""

    room_id: RoomName | None = None


class ReadHistory(BaseCommand, frozen=True, tag="history"):
    """Some messages of a room: the newest, or the newest before `before`, or the oldest after `after`."""

    room_id: RoomName | None = None
    before: Seq | None = None
    after: Seq | None = None
    limit: PageSize | None = None


class Ping(BaseCommand, frozen=True, tag="ping"):
    """A heartbeat, for clients that cannot send WebSocket pings."""


UserId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{3,32}\Z", description="A user.", examples=["bob"])]
"""A field that is a user's id, for the commands of extensions."""


class ExtensionCommand(BaseCommand, frozen=True, kw_only=True):
    """Base of the commands that extensions add: a subclass names its `tag`, which is its `type` on the wire."""


Command: TypeAlias = (
    GetChallenge | Register | Authenticate | Join | Post | SwitchRoom | Leave | ListMembers | ReadHistory | Ping
)
"""The built-in commands."""

AnyCommand: TypeAlias = Command | ExtensionCommand
