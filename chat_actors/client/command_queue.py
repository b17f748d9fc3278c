"""What is asked for in turn: the next command is sent when the last has been answered."""

from __future__ import annotations

from collections import deque

from chat_actors.client.outcomes import TooMuchUnsent
from chat_actors.protocol import AnyCommand, ExtensionCommand, encode_command


class CommandQueue:
    """Those that have no answer yet, in the order of asking; the first, the head, may be on its way. Pure.

    One at a time, they keep their order whatever fails in between. The price is one message for each way to the server
    and back.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._commands: deque[tuple[str, AnyCommand]] = deque()
        self._is_sent = False

    def __len__(self) -> int:
        return len(self._commands)

    def add(self, request_id: str, command: AnyCommand) -> None:
        """Raises `TooMuchUnsent`, and `ValueError` for what is no text in UTF-8."""
        if len(self._commands) >= self._most:
            raise TooMuchUnsent(self._most)
        encode_command(command)  # here it may raise: later it would hold up all that is behind it
        self._commands.append((request_id, command))

    @property
    def head_id(self) -> str | None:
        return self._commands[0][0] if self._commands else None

    @property
    def head_on_its_way(self) -> str | None:
        """The id of the head, if it has been sent."""
        return self.head_id if self._is_sent else None

    @property
    def asked(self) -> str | None:
        """The id of the head, if it has been sent and may not be again: an extension's command."""
        return self.head_id if self._is_sent and isinstance(self._commands[0][1], ExtensionCommand) else None

    def send(self) -> AnyCommand | None:
        """The command that is to be sent now; it is returned once."""
        if self._is_sent or not self._commands:
            return None
        self._is_sent = True
        return self._commands[0][1]

    def send_again(self) -> None:
        """What was on its way is lost: it is still to be sent."""
        self._is_sent = False

    def end(self) -> AnyCommand:
        """The head has been answered, or is given up."""
        self._is_sent = False
        return self._commands.popleft()[1]

    def withdraw(self, request_id: str) -> None:
        """Do not send it; of no effect if it has been."""
        if self.head_on_its_way != request_id:
            self._commands = deque(waiting for waiting in self._commands if waiting[0] != request_id)
