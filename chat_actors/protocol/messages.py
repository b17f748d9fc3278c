"""What the server may send: one frozen record for each message, `type` first and the fields in their fixed order."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class _Message(msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True):
    """Base of every message of the server."""


class Challenge(_Message, frozen=True, tag="challenge"):
    """32 random bytes in standard base64, to be signed."""

    challenge: str


class Registered(_Message, frozen=True, tag="registered"):
    user_id: str
    message: str


class Authenticated(_Message, frozen=True, tag="authenticated"):
    user_id: str
    message: str


class Joined(_Message, frozen=True, tag="joined"):
    """To the one who joined."""

    room_id: str
    user_id: str
    message: str


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


class Error(_Message, frozen=True, tag="error"):
    """Something was wrong; the connection stays open. `code` is a stable word for programs."""

    message: str
    code: str | None = None


ServerMessage: TypeAlias = Challenge | Registered | Authenticated | Joined | UserJoined | UserLeft | ChatMessage | Error


def registered(user_id: str) -> Registered:
    return Registered(user_id, "Registration successful")


def authenticated(user_id: str) -> Authenticated:
    return Authenticated(user_id, "Authentication successful")


def joined(user_id: str, room_id: str) -> Joined:
    return Joined(room_id, user_id, f"Joined room: {room_id}")


def user_joined(user_id: str, room_id: str) -> UserJoined:
    return UserJoined(user_id, room_id, f"{user_id} joined the room")


def user_left(user_id: str, room_id: str) -> UserLeft:
    return UserLeft(user_id, room_id, f"{user_id} left the room")
