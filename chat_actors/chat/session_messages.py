"""What may be sent to a session, and who is at its other end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from chat_actors.chat.outbox import Outbox
from chat_actors.chat.room_messages import NotAMember, RemovedFromRoom
from chat_actors.kernel import Ref
from chat_actors.protocol import AnyCommand


class Frame(msgspec.Struct, frozen=True):
    """One text frame from the client."""

    text: str


class Deferred(msgspec.Struct, frozen=True):
    """A session's message to itself: a command that could not be carried out in the turn in which it came."""

    command: AnyCommand


SessionMessage: TypeAlias = Frame | Deferred | NotAMember | RemovedFromRoom
SessionRef: TypeAlias = Ref[SessionMessage]


def _nothing_waits() -> None:
    """For a connection that waits for its session by itself."""


class Peer(msgspec.Struct, frozen=True):
    """The client at the other end: where it comes from, and the way back to it."""

    address: str
    outbox: Outbox
    resume: Callable[[], None] = _nothing_waits
    """Called whenever the session has nothing left to do: its connection may go on reading."""
