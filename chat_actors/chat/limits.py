"""The limits that the chat's actors enforce. 0 disables a limit; only `message_burst` is at least 1."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The resources that one client may use, and the number of all connections."""

    registrations: int = 5
    """Registrations from one address within `registration_window`, including failed ones."""

    registration_window: float = 900.0
    """Seconds."""

    challenge_seconds: float = 300.0
    """Seconds during which a challenge is valid."""

    frame_bytes: int = 65_536
    """Maximum size of a message from a client, in bytes of payload."""

    content_chars: int = 4000
    """Maximum length of a chat message's content, in Unicode code points; that of a bot's, too."""

    messages_per_second: float = 20.0
    """Frames of any type per second on average: of one user over all connections; before login, of one connection."""

    message_burst: int = 60
    """Frames that one user, or one connection before login, may send in one burst; at least 1."""

    rooms_per_minute: int = 300
    """Joins and room switches of one user per minute, over all connections."""

    rooms_per_connection: int = 50
    """Rooms that one connection may be in at a time."""

    queries_per_second: float = 5.0
    """Requests for `members` and `history` per second on average, of one user over all connections.

    One burst is `message_burst` requests.
    """

    connections_per_ip: int = 200
    """Open connections from one address."""

    connections: int = 20_000
    """Open connections in total."""

    backlog_bytes: int = 1_048_576
    """Maximum backlog of a client that does not read, in bytes."""

    ping_seconds: float = 20.0
    """Seconds between two pings. The server closes a connection with two unanswered pings when the next is due."""

    unauthenticated_seconds: float = 300.0
    """Seconds that a connection may stay open without authenticating."""

    @property
    def longest_content(self) -> int:
        """Maximum length of any post, in code points; 0: no limit. Each has at least one byte in a user's frame."""
        return min(filter(None, (self.content_chars, self.frame_bytes)), default=0)
