"""How an operation ends: success, or one of these errors."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Records the outcome of each operation."""

    def report_success(self, name: str, ms: float) -> None:
        """Record that an operation took `ms` milliseconds."""

    def report_failure(self, name: str, error: Exception) -> None:
        """Record why an operation failed."""


class CommandRefused(Exception):
    """The server answered a command with an error."""

    def __init__(self, code: str | None, text: str) -> None:
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"error {self.code or self.text}"


class ResponseTimeout(Exception):
    """The response did not arrive in time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __str__(self) -> str:
        return "no response in time"  # without the seconds: equal failures are counted together


class ProtocolViolation(Exception):
    """The server broke one of its guarantees."""

    def __init__(self, violation: str) -> None:
        self.violation = violation

    def __str__(self) -> str:
        return self.violation
