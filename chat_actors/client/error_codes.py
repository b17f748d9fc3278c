"""How the client reacts to the error codes of the server."""

from __future__ import annotations

from chat_actors.protocol import messages

TRANSIENT_CODES = frozenset({"not_stored", "room_failed", "too_many_messages", "too_many_rooms", "internal_failure"})
"""Codes of errors after which a request may succeed later."""

NOT_JOINED_CODES = frozenset({"not_joined", "not_in_room"})
"""Codes of the refusal of a post by a room that the user is not in. The second comes if it was the only room."""

TOO_BIG = messages.Error("The message is longer than the server takes.", "too_big")
"""The refusal of a command over the server's frame limit, which is not sent: the server would close the connection."""
