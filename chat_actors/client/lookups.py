"""What is asked for out of turn, and may be asked for again: history, members."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from chat_actors.protocol import Command

LOOKUPS_AT_ONCE = 16
"""On their way at a time: a server that finds them too many would be sent all of them again and again."""


class Lookups:
    """Those that have no answer yet, in the order of asking. Pure."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self._on_the_way: set[str] = set()

    def __len__(self) -> int:
        return len(self._commands)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._commands

    def add(self, request_id: str, command: Command) -> None:
        self._commands[request_id] = command

    def end(self, request_id: str) -> None:
        """It has been answered, or nobody waits for it any more."""
        del self._commands[request_id]
        self._on_the_way.discard(request_id)

    def ask_again(self) -> None:
        """What was on its way is lost."""
        self._on_the_way.clear()

    def to_send(self) -> Sequence[Command]:
        """Those that are to be sent now; each is returned once."""
        new = [id_ for id_ in itertools.islice(self._commands, LOOKUPS_AT_ONCE) if id_ not in self._on_the_way]
        self._on_the_way.update(new)
        return [self._commands[request_id] for request_id in new]
