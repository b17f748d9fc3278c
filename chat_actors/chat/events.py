"""What happens in a chat, for the event bus. Past tense: an event says what has happened.

Beside these, the kernel publishes `ActorFailed`, `ActorRestarted`, `ActorEnded` and `DeadLetter` on the same bus.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class SessionOpened(msgspec.Struct, frozen=True):
    """A connection has a session."""

    session: str
    address: str


class SessionClosed(msgspec.Struct, frozen=True):
    """A session has ended. `user_id` is None if it never authenticated."""

    session: str
    address: str
    user_id: str | None


class UserRegistered(msgspec.Struct, frozen=True):
    """A new account exists."""

    user_id: str
    address: str


class UserAuthenticated(msgspec.Struct, frozen=True):
    """A session has proved that it is `user_id`."""

    session: str
    user_id: str
    address: str


class AuthenticationFailed(msgspec.Struct, frozen=True):
    """A session tried to be `user_id` and was refused; `code` is the refusal's."""

    session: str
    user_id: str
    address: str
    code: str


class RoomOpened(msgspec.Struct, frozen=True):
    """A room has come into being."""

    room_id: str


class RoomClosed(msgspec.Struct, frozen=True):
    """A room has gone: it was empty, or it failed for good."""

    room_id: str


class UserJoined(msgspec.Struct, frozen=True):
    """The first connection of a user has entered a room."""

    user_id: str
    room_id: str


class UserLeft(msgspec.Struct, frozen=True):
    """The last connection of a user has left a room."""

    user_id: str
    room_id: str


class MessagePosted(msgspec.Struct, frozen=True):
    """A room has given a message its number, and hands it out at the end of its turn."""

    user_id: str
    room_id: str
    seq: int
    at: datetime
    content: str


class ClientEvicted(msgspec.Struct, frozen=True):
    """A client did not read and had more than `backlog_bytes` waiting for it."""

    session: str
    user_id: str | None
    backlog_bytes: int


class Draining(msgspec.Struct, frozen=True):
    """The server has begun to stop: no new sessions, and the `sessions` that are open are told to come back later."""

    sessions: int
