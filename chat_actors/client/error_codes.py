"""How the client reacts to the error codes of the server."""

from __future__ import annotations

from chat_actors.protocol import messages

TRANSIENT_CODES = frozenset(
    {"not_stored", "room_failed", "room_closed", "too_many_messages", "too_many_rooms", "busy", "internal_failure"}
)
"""Codes of errors after which a request may succeed later."""

RATE_LIMIT_CODES = frozenset({"too_many_messages", "too_many_rooms"})
"""Those of them that concern the whole connection."""

NOT_JOINED_CODES = frozenset({"not_joined", "not_in_room", "room_closed"})
"""Codes of the refusal of a post by a room that the user is not in. The second comes if it was the only room."""

ROOM_LIMIT = "room_limit"
"""Code of the refusal of a join because the connection is in too many rooms."""

UNREADABLE = messages.Error("The answer of the server cannot be read.", "unreadable_answer")
"""The reason for the end of a room whose join has such an answer."""

TOO_BIG = messages.Error("The message is longer than the server takes.", "too_big")
"""The refusal of a command over the server's frame limit, which is not sent: the server would close the connection."""
