"""The table of commands that a session accepts in each of its states."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from chat_actors.protocol import refusals
from chat_actors.protocol.commands import (
    Authenticate,
    BaseCommand,
    GetChallenge,
    Hello,
    Join,
    Leave,
    ListMembers,
    Ping,
    Post,
    ReadHistory,
    Register,
    SwitchRoom,
)
from chat_actors.protocol.refusals import Refusal


class SessionState(Enum):
    """State of a session."""

    CONNECTED = auto()
    AUTHENTICATED = auto()
    """Logged in, and in no room."""
    NO_CURRENT_ROOM = auto()
    """In additional rooms only."""
    IN_ROOM = auto()
    """In a current room."""


def _rule(connected: Refusal | None, in_no_room: Refusal | None = None) -> Mapping[SessionState, Refusal | None]:
    """The refusals before the login and in no room. In a room, every command is allowed.

    In additional rooms only, a command that needs a room has to name it.
    """
    return {
        SessionState.CONNECTED: connected,
        SessionState.AUTHENTICATED: in_no_room,
        SessionState.NO_CURRENT_ROOM: refusals.NO_CURRENT_ROOM if in_no_room else None,
        SessionState.IN_ROOM: None,
    }


RULES: Mapping[type[BaseCommand], Mapping[SessionState, Refusal | None]] = {
    Hello: _rule(None),
    GetChallenge: _rule(None),
    Register: _rule(None),
    Authenticate: _rule(None),
    Join: _rule(refusals.JOIN_UNAUTHENTICATED),
    Post: _rule(refusals.UNAUTHENTICATED, refusals.NOT_IN_ROOM),
    SwitchRoom: _rule(refusals.UNAUTHENTICATED),
    Leave: _rule(refusals.UNAUTHENTICATED, refusals.NOT_IN_ROOM),
    ListMembers: _rule(refusals.UNAUTHENTICATED, refusals.NOT_IN_ROOM),
    ReadHistory: _rule(refusals.UNAUTHENTICATED, refusals.NOT_IN_ROOM),
    Ping: _rule(None),
}
"""Command → state → the refusal, or None if the command is allowed. Covers every command and every state.

A command that names its room needs no current room: the refusals of the two states without one do not apply to it.
"""
