"""The WebSocket close codes that this server uses (RFC 6455, section 7.4; 4000 and up are its own)."""

from __future__ import annotations

from enum import IntEnum


def retry_after(milliseconds: int) -> str:
    """The reason of a close with 1012: the client should reconnect after this time."""
    return f"retry after {milliseconds}"


def parse_retry_after(reason: str) -> int | None:
    """The milliseconds in the reason of a close with 1012, or None if it names none."""
    prefix, _, number = reason.rpartition(" ")
    return int(number) if prefix == "retry after" and number.isascii() and number.isdecimal() else None


def too_slow(backlog_bytes: int) -> str:
    """The reason of a close with 4008."""
    return f"too slow: over {backlog_bytes} bytes were waiting; reconnect and catch up"


NO_BINARY = "send JSON in text frames, not in binary ones"
"""The reason of a close with 1003."""


class CloseCode(IntEnum):
    """Why a connection was closed, for the client to act on."""

    NORMAL = 1000
    """The client asked for it."""
    PROTOCOL_ERROR = 1002
    """A malformed frame."""
    UNSUPPORTED_DATA = 1003
    """A binary frame: commands are JSON in text frames."""
    INVALID_DATA = 1007
    """A text frame that is not UTF-8."""
    POLICY_VIOLATION = 1008
    """A rule was broken; the reason says which."""
    TOO_BIG = 1009
    """A message over `frame_bytes`."""
    INTERNAL_ERROR = 1011
    """The server failed in this session; reconnect."""
    SERVICE_RESTART = 1012
    """The server is stopping; the reason says when to reconnect."""
    TRY_AGAIN_LATER = 1013
    """Over capacity."""
    NOT_AUTHENTICATED = 4001
    """Not authenticated in time."""
    ORIGIN_REFUSED = 4003
    """Origin not allowed (as HTTP 403, before the upgrade)."""
    TOO_SLOW = 4008
    """The client did not read, and its backlog overflowed; reconnect and catch up."""
