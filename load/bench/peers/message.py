"""Shared code of the Python peers: the JSON messages, and a room's members and numbering."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

MemberT = TypeVar("MemberT")


class Join(msgspec.Struct, tag="join", rename="camel"):
    user_id: str
    room_id: str


class Post(msgspec.Struct, tag="chat_message"):
    content: str


class ChatMessage(msgspec.Struct, tag="chat_message", rename="camel"):
    """The same fields, in the same order, as this project's `chat_message`."""

    user_id: str
    room_id: str
    content: str
    timestamp: str
    seq: int


decode = msgspec.json.Decoder(Join | Post).decode
encode = msgspec.json.Encoder().encode


class Room(Generic[MemberT]):
    """The members of a room, and the number of its last message."""

    def __init__(self) -> None:
        self.members: set[MemberT] = set()
        self.seq = 0

    def message(self, join: Join, content: str) -> ChatMessage:
        """The next message of the room."""
        self.seq += 1
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        return ChatMessage(join.user_id, join.room_id, content, timestamp, self.seq)


def rooms_of(member_type: type[MemberT]) -> defaultdict[str, Room[MemberT]]:
    """An empty table of rooms; a room is created at its first use."""
    return defaultdict(Room)


def joined(join: Join) -> bytes:
    """The response to a join."""
    return encode({"type": "joined", "roomId": join.room_id, "userId": join.user_id})
