"""The table of commands that a session accepts in each of its states."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from chat_actors.protocol import refusals
from chat_actors.protocol.commands import (
    Authenticate,
    BaseCommand,
    GetChallenge,
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
    IN_ROOM = auto()


RULES: Mapping[type[BaseCommand], Mapping[SessionState, Refusal | None]] = {
    GetChallenge: {SessionState.CONNECTED: None, SessionState.AUTHENTICATED: None, SessionState.IN_ROOM: None},
    Register: {SessionState.CONNECTED: None, SessionState.AUTHENTICATED: None, SessionState.IN_ROOM: None},
    Authenticate: {SessionState.CONNECTED: None, SessionState.AUTHENTICATED: None, SessionState.IN_ROOM: None},
    Join: {
        SessionState.CONNECTED: refusals.JOIN_UNAUTHENTICATED,
        SessionState.AUTHENTICATED: None,
        SessionState.IN_ROOM: None,
    },
    Post: {
        SessionState.CONNECTED: refusals.UNAUTHENTICATED,
        SessionState.AUTHENTICATED: refusals.NOT_IN_ROOM,
        SessionState.IN_ROOM: None,
    },
    SwitchRoom: {
        SessionState.CONNECTED: refusals.UNAUTHENTICATED,
        SessionState.AUTHENTICATED: None,
        SessionState.IN_ROOM: None,
    },
    Leave: {
        SessionState.CONNECTED: refusals.UNAUTHENTICATED,
        SessionState.AUTHENTICATED: refusals.NOT_IN_ROOM,
        SessionState.IN_ROOM: None,
    },
    ListMembers: {
        SessionState.CONNECTED: refusals.UNAUTHENTICATED,
        SessionState.AUTHENTICATED: None,
        SessionState.IN_ROOM: None,
    },
    ReadHistory: {
        SessionState.CONNECTED: refusals.UNAUTHENTICATED,
        SessionState.AUTHENTICATED: None,
        SessionState.IN_ROOM: None,
    },
    Ping: {SessionState.CONNECTED: None, SessionState.AUTHENTICATED: None, SessionState.IN_ROOM: None},
}
"""Command → state → the refusal, or None if the command is allowed. Covers every command and every state."""
