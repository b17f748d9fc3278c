"""Timestamps of messages in the local time zone."""

from __future__ import annotations

from datetime import datetime, tzinfo

UNKNOWN = "--:--"


def local_time(timestamp: str, zone: tzinfo | None = None) -> datetime | None:
    """Convert a message's `timestamp` to `zone`, by default the machine's (`TZ`). Returns None if it is not valid."""
    try:
        return datetime.fromisoformat(timestamp).astimezone(zone)
    except (ValueError, OverflowError):  # the server may send anything; OverflowError: before the year 1
        return None


def clock(timestamp: str, zone: tzinfo | None = None) -> str:
    """The local time of a message, such as `09:30`."""
    time = local_time(timestamp, zone)
    return UNKNOWN if time is None else f"{time:%H:%M}"
