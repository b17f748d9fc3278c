"""The limits that the chat's actors hold, as one record. 0 switches a limit off."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may cost the others."""

    registrations: int = 5
    """Registrations from one address within `registration_window`, failed ones included."""

    registration_window: float = 900.0
    """Seconds."""

    challenge_seconds: float = 300.0
    """How long a challenge may be answered, in seconds."""

    frame_bytes: int = 65_536
    """The longest message that a client may send, in bytes of payload."""

    content_chars: int = 4000
    """The longest content of a chat message, in characters (Unicode code points)."""

    messages_per_second: float = 20.0
    """Frames of any kind that one connection may send, a second, in the long run."""

    message_burst: int = 60
    """Frames that one connection may send at once."""

    rooms_per_minute: int = 60
    """Joins and switches that one connection may do in a minute."""

    connections_per_ip: int = 200
    """Open connections from one address."""

    connections: int = 20_000
    """Open connections in all."""

    backlog_bytes: int = 1_048_576
    """Bytes that may wait for a client that does not read."""

    ping_seconds: float = 20.0
    """Seconds between two pings. A client that has left two unanswered when the next is due is closed."""

    unauthenticated_seconds: float = 300.0
    """How long a connection may stay without authenticating, in seconds."""
