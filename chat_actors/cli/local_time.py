"""When something was said, by the clock of whoever reads it. Pure, but for the zone of the machine."""

from __future__ import annotations

from datetime import datetime, tzinfo

UNKNOWN = "--:--"


def local_time(timestamp: str, zone: tzinfo | None = None) -> datetime | None:
    """A message's `timestamp` in that zone, or in the machine's (`TZ`); None if it is no time."""
    try:
        return datetime.fromisoformat(timestamp).astimezone(zone)
    except (ValueError, OverflowError):  # whatever a server sends; OverflowError: before the year 1
        return None


def clock(timestamp: str, zone: tzinfo | None = None) -> str:
    """As `09:30`."""
    time = local_time(timestamp, zone)
    return UNKNOWN if time is None else f"{time:%H:%M}"
