"""The settings, commands and messages of direct messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from chat_actors import Command, Message, UserId

Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class DirectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.direct]`"""

    keep: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    """Stored messages of each user, sent and received. The oldest of the longest conversation is deleted first."""

    unread_per_sender: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 250
    """Messages of one sender that the recipient has not received yet. Further ones are refused."""

    chars: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4000
    """The longest message, in characters."""


class SendDirect(Command, frozen=True, tag="direct_send"):
    """Send a message to one user. The answer follows once the message is stored for the recipient."""

    to: UserId
    content: Annotated[str, msgspec.Meta(min_length=1)]


class OpenDirect(Command, frozen=True, tag="direct_open"):
    """Subscribe to new messages."""


class ReadDirect(Command, frozen=True, tag="direct_history"):
    """Read stored messages: the oldest after `after`, the newest before `before`, or the newest."""

    after: Seq | None = None
    before: Seq | None = None


class BlockUser(Command, frozen=True, tag="direct_block"):
    """Refuse all messages from a user."""

    user_id: UserId


class UnblockUser(Command, frozen=True, tag="direct_unblock"):
    user_id: UserId


class DirectMessage(Message, frozen=True, tag="direct_message"):
    """A message, for sender and recipient. `seq` is the number that the receiving user's actor gave it."""

    seq: int
    sender: str
    to: str
    content: str
    timestamp: datetime


class DirectSent(Message, frozen=True, tag="direct_sent"):
    """The message is stored. `seq` is its number for the sender."""

    to: str
    seq: int
    timestamp: datetime


class DirectOpened(Message, frozen=True, tag="direct_opened"):
    """`last` is the number of the newest message. Later ones arrive through the subscription."""

    last: int


class DirectHistory(Message, frozen=True, tag="direct_history"):
    """Oldest message first. `more`: whether further messages exist in the direction of reading.

    `lost`: how many messages are no longer stored, from where the reading began to the last message of this answer; if
    there are no more, to the end.
    """

    messages: Sequence[DirectMessage]
    more: bool
    lost: int


class Blocked(Message, frozen=True, tag="direct_blocked"):
    blocked: Sequence[str]
