"""The messages to a session, and its peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from chat_actors.chat.outbox import Outbox
from chat_actors.chat.room_messages import MemberRemoved, NotAMember
from chat_actors.kernel import Ref
from chat_actors.protocol import AnyCommand


class Frame(msgspec.Struct, frozen=True):
    """One text frame from the client."""

    text: str


class Deferred(msgspec.Struct, frozen=True):
    """A session's message to itself: a command that cannot be executed in the turn in which its frame arrived."""

    command: AnyCommand


SessionMessage: TypeAlias = Frame | Deferred | NotAMember | MemberRemoved
SessionRef: TypeAlias = Ref[SessionMessage]


def _do_nothing() -> None:
    """The `resume` of a connection that does not pause reading."""


class Peer(msgspec.Struct, frozen=True):
    """The client of a session: its IP address, its outbox, and the callback that resumes reading."""

    address: str
    outbox: Outbox
    resume: Callable[[], None] = _do_nothing
    """Called when the session has handled all its messages: the connection may read on."""
