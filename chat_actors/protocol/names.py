"""Rules for user ids, room ids and the content of messages."""

from __future__ import annotations

import re
from typing import Any

_USER_ID = re.compile(r"[A-Za-z0-9_-]{3,32}", re.ASCII)
_CONTROL_OR_SURROGATE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

ROOM_ID_CHARS = 128


def is_user_id(text: str) -> bool:
    """Whether this is a valid user id: 3 to 32 of `a-z A-Z 0-9 _ -`."""
    return _USER_ID.fullmatch(text) is not None


def is_room_id(text: str) -> bool:
    """Whether this is a valid room id: 1 to 128 characters, no control characters, line separators or surrogates."""
    return 1 <= len(text) <= ROOM_ID_CHARS and _CONTROL_OR_SURROGATE.search(text) is None


BOT_PREFIX = "bot:"
"""Prefix of the ids of bots. No user id starts with it, since a colon is not allowed in one."""


REMOVED_USER = "removed:user"
"""Takes the place of a removed user, for example as the owner of a room. No user can have this id."""


def bot_id(name: str) -> str:
    """Return the id of the bot with this name. Raises `ValueError` unless the name would be a valid user id."""
    if not is_user_id(name):
        raise ValueError(f"{name!r} is no name of a bot: it must be 3-32 of a-z A-Z 0-9 _ -")
    return BOT_PREFIX + name


def is_bot_id(user_id: str) -> bool:
    """Whether this is a bot's id, not a user's."""
    return user_id.startswith(BOT_PREFIX)


def is_sender_id(text: str) -> bool:
    """Whether a message can have this sender: a user or a bot."""
    return is_user_id(text.removeprefix(BOT_PREFIX))


def checked_content(content: Any) -> str:
    """Return the content. Raises `ValueError` if it is not a `str`, is empty, or contains a surrogate.

    A surrogate has no UTF-8 encoding, so the room could not encode the message.
    """
    if not isinstance(content, str) or not content:
        raise ValueError(f"content must be a text that is not empty: {content!r}")
    content.encode()
    return content
