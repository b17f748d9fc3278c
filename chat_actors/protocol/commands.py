"""What a client may send: one frozen record for each command, a tagged union on the wire."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class _Command(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    """Base of every command. Fields are camelCase on the wire; what is not named here is ignored."""


class GetChallenge(_Command, frozen=True, tag="get_challenge"):
    """Ask for something to sign."""


class Register(_Command, frozen=True, tag="register"):
    """Make an account: a name and the PEM text of an RSA public key."""

    user_id: str
    public_key: str


class Authenticate(_Command, frozen=True, tag="authenticate"):
    """Prove to be `user_id` by a base64 signature of the challenge."""

    user_id: str
    signature: str


class Join(_Command, frozen=True, tag="join"):
    """Enter a room; without `room_id`, the one named after the user."""

    user_id: str
    room_id: str | None = None


class Post(_Command, frozen=True, tag="chat_message"):
    """Say something to the room."""

    content: str


class SwitchRoom(_Command, frozen=True, tag="switch_room"):
    """Leave the room and enter another."""

    room_id: str


Command: TypeAlias = GetChallenge | Register | Authenticate | Join | Post | SwitchRoom
