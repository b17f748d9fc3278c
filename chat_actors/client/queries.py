"""Read-only requests (history, members): they may be sent out of order and repeated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from chat_actors.protocol import Command

MAX_QUERIES_IN_FLIGHT = 16
"""Bounds what is repeated after a rate-limit error: without a bound, every retry would exceed the limit again."""


class Queries:
    """The queries without an answer, oldest first. No I/O."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self._in_flight: set[str] = set()

    def __len__(self) -> int:
        return len(self._commands)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._commands

    def add(self, request_id: str, command: Command) -> None:
        self._commands[request_id] = command

    def remove(self, request_id: str) -> None:
        """Remove a query that was answered or cancelled."""
        del self._commands[request_id]
        self._in_flight.discard(request_id)

    def mark_all_unsent(self) -> None:
        """Send the queries in flight again, because they or their answers were lost."""
        self._in_flight.clear()

    def take_unsent(self) -> Sequence[Command]:
        """Return the queries to send now, and mark them as sent."""
        unsent = [id_ for id_ in itertools.islice(self._commands, MAX_QUERIES_IN_FLIGHT) if id_ not in self._in_flight]
        self._in_flight.update(unsent)
        return [self._commands[request_id] for request_id in unsent]
