"""Requests that keep their order: a command is sent when the one before it has been answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from chat_actors.client.errors import TooMuchUnsent
from chat_actors.protocol import AnyCommand, ExtensionCommand, encode_command


class CommandQueue:
    """The commands without an answer, oldest first. Only the first, the head, may be in flight. No I/O.

    One command in flight keeps the order whatever fails in between. It limits the rate to one command a round trip.

    Attributes:
        is_uncertain: Whether an answer to the head was lost, so that the server may have executed it.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._commands: deque[tuple[str, AnyCommand]] = deque()
        self._is_sent = False
        self.is_uncertain = False

    def __len__(self) -> int:
        return len(self._commands)

    def add(self, request_id: str, command: AnyCommand) -> None:
        """Raises `TooMuchUnsent`, and `ValueError` if a string is not valid Unicode."""
        if len(self._commands) >= self._maximum:
            raise TooMuchUnsent(self._maximum)
        encode_command(command)  # raise for the caller now: a failure at the head would block the whole queue
        self._commands.append((request_id, command))

    @property
    def head_id(self) -> str | None:
        return self._commands[0][0] if self._commands else None

    @property
    def in_flight_id(self) -> str | None:
        """The id of the head, if it has been sent."""
        return self.head_id if self._is_sent else None

    @property
    def unrepeatable_id(self) -> str | None:
        """The id of the head, if it has been sent and must not be sent again: an extension command."""
        return self.head_id if self._is_sent and isinstance(self._commands[0][1], ExtensionCommand) else None

    def take_unsent(self) -> AnyCommand | None:
        """Return the head if it is to be sent now, and mark it as sent."""
        if self._is_sent or not self._commands:
            return None
        self._is_sent = True
        return self._commands[0][1]

    def mark_unsent(self) -> None:
        """Send the head again, because it or its answer was lost."""
        self._is_sent = False

    def give_up(self, *, all_commands: bool) -> tuple[str, AnyCommand] | None:
        """The answer to the head in flight was lost: send it again.

        If it must not be sent again, or for `all_commands`, remove it and return it.
        """
        is_final = self.in_flight_id is not None if all_commands else self.unrepeatable_id is not None
        if is_final:
            return self.pop()
        self.is_uncertain = self.is_uncertain or self._is_sent
        self._is_sent = False
        return None

    def pop(self) -> tuple[str, AnyCommand]:
        """Remove the head: it was answered or given up. Returns its id and the command."""
        self._is_sent = self.is_uncertain = False
        return self._commands.popleft()

    def clear(self) -> None:
        """Remove all commands."""
        self._is_sent = self.is_uncertain = False
        self._commands.clear()

    def clear_unsent(self) -> Sequence[str]:
        """Remove all commands that are not in flight. Returns their ids."""
        kept = [self._commands.popleft()] if self._is_sent else []
        removed = [request_id for request_id, _ in self._commands]
        self._commands = deque(kept)
        return removed

    def cancel(self, request_id: str) -> None:
        """Remove a command, unless it is in flight."""
        if self.in_flight_id != request_id:
            self.is_uncertain = self.is_uncertain and self.head_id != request_id
            self._commands = deque(pending for pending in self._commands if pending[0] != request_id)
