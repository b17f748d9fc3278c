"""The events that the chat publishes on the event bus.

The kernel publishes `ActorFailed`, `ActorRestarted`, `ActorEnded` and `DeadLetter` on the same bus.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class SessionOpened(msgspec.Struct, frozen=True):
    """A session for a new connection has started.

    Attributes:
        session: The path of the session actor.
        address: The client's IP address.
    """

    session: str
    address: str


class SessionClosed(msgspec.Struct, frozen=True):
    """A session has ended.

    Attributes:
        session: The path of the session actor.
        address: The client's IP address.
        user_id: The user, or None if the session never authenticated.
    """

    session: str
    address: str
    user_id: str | None


class UserRegistered(msgspec.Struct, frozen=True):
    """An account was created and stored.

    Attributes:
        user_id: The new user.
        address: The client's IP address.
    """

    user_id: str
    address: str


class UserAuthenticated(msgspec.Struct, frozen=True):
    """A session has authenticated.

    Attributes:
        session: The path of the session actor.
        user_id: The authenticated user.
        address: The client's IP address.
    """

    session: str
    user_id: str
    address: str


class AuthenticationFailed(msgspec.Struct, frozen=True):
    """An authentication was refused.

    Attributes:
        session: The path of the session actor.
        user_id: The user that the client claimed to be.
        address: The client's IP address.
        code: The code of the refusal.
    """

    session: str
    user_id: str
    address: str
    code: str


class RoomOpened(msgspec.Struct, frozen=True):
    """A room actor has started. A restart after a crash is not published.

    Attributes:
        room_id: The room.
    """

    room_id: str


class RoomClosed(msgspec.Struct, frozen=True):
    """A room actor has ended: the room was empty, the server stopped, or supervision gave up restarting it.

    Attributes:
        room_id: The room.
    """

    room_id: str


class UserJoined(msgspec.Struct, frozen=True):
    """The first connection of a user has joined a room.

    Attributes:
        user_id: The user.
        room_id: The room.
    """

    user_id: str
    room_id: str


class UserLeft(msgspec.Struct, frozen=True):
    """The last connection of a user has left a room.

    Attributes:
        user_id: The user.
        room_id: The room.
    """

    user_id: str
    room_id: str


class MessagePosted(msgspec.Struct, frozen=True):
    """A room has numbered a message; it delivers the message at the end of the current turn.

    Attributes:
        user_id: The sender.
        room_id: The room.
        seq: The sequence number in the room.
        at: The message's timestamp (aware, UTC).
        content: The text of the message.
    """

    user_id: str
    room_id: str
    seq: int
    at: datetime
    content: str


class ServiceFailed(msgspec.Struct, frozen=True):
    """A service or bot with `Scope.SERVER` has ended after a crash: its restarts are used up.

    Attributes:
        service: The path of its actor.
        restart_in: Seconds until the server starts it again. A command may start it earlier.
    """

    service: str
    restart_in: float


class ServiceStartedAgain(msgspec.Struct, frozen=True):
    """The server has started a failed service or bot again, after its pause.

    Attributes:
        service: The path of its actor.
    """

    service: str


class ClientEvicted(msgspec.Struct, frozen=True):
    """A client was closed with 4008: it did not read fast enough.

    Attributes:
        session: The path of the session actor.
        user_id: The user, or None if the session never authenticated.
        backlog_bytes: The limit that was exceeded, in bytes.
    """

    session: str
    user_id: str | None
    backlog_bytes: int


class Draining(msgspec.Struct, frozen=True):
    """The server has begun to stop: it admits no new sessions and closes the open ones.

    Attributes:
        sessions: The number of open sessions.
    """

    sessions: int
