"""What a session may do in which state, as a table."""

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


class State(Enum):
    """How far a session has come."""

    CONNECTED = auto()
    AUTHENTICATED = auto()
    IN_ROOM = auto()


RULES: Mapping[type[BaseCommand], Mapping[State, Refusal | None]] = {
    GetChallenge: {State.CONNECTED: None, State.AUTHENTICATED: None, State.IN_ROOM: None},
    Register: {State.CONNECTED: None, State.AUTHENTICATED: None, State.IN_ROOM: None},
    Authenticate: {State.CONNECTED: None, State.AUTHENTICATED: None, State.IN_ROOM: None},
    Join: {State.CONNECTED: refusals.JOIN_UNAUTHENTICATED, State.AUTHENTICATED: None, State.IN_ROOM: None},
    Post: {
        State.CONNECTED: refusals.UNAUTHENTICATED,
        State.AUTHENTICATED: refusals.NOT_IN_ROOM,
        State.IN_ROOM: None,
    },
    SwitchRoom: {State.CONNECTED: refusals.UNAUTHENTICATED, State.AUTHENTICATED: None, State.IN_ROOM: None},
    Leave: {
        State.CONNECTED: refusals.UNAUTHENTICATED,
        State.AUTHENTICATED: refusals.NOT_IN_ROOM,
        State.IN_ROOM: None,
    },
    ListMembers: {State.CONNECTED: refusals.UNAUTHENTICATED, State.AUTHENTICATED: None, State.IN_ROOM: None},
    ReadHistory: {State.CONNECTED: refusals.UNAUTHENTICATED, State.AUTHENTICATED: None, State.IN_ROOM: None},
    Ping: {State.CONNECTED: None, State.AUTHENTICATED: None, State.IN_ROOM: None},
}
"""Command × state → why not, or None: allowed. Total over both."""
