"""Times on the wire."""

from __future__ import annotations

from datetime import UTC, datetime


def format_timestamp(at: datetime) -> str:
    """UTC in ISO 8601 with milliseconds and `Z`, as in `2026-01-31T12:00:00.000Z`. `at` must be aware."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
