"""When a load that grows in steps has broken the server. Pure: what was measured is passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

JUDGED = 2 / 3
"""The last part of each step; what is measured before is not judged, since users are still coming."""


Breaches: TypeAlias = Callable[[int, float, float], Sequence[str]]


class StepLoad:
    """Steps of `step_users` more users each, up to `max_users`, until one breaches an objective.

    `tick` says how many users there are to be. `breaches(users, since, until)` says what so many users saw breached
    between two times, in seconds from the beginning: sentences, or nothing.
    """

    def __init__(
        self,
        step_users: int,
        max_users: int,
        step_seconds: float,
        breaches: Callable[[int, float, float], Sequence[str]],
    ) -> None:
        self.highest = 0
        """Users of the highest step that met all objectives."""
        self.broken_by: Sequence[str] = ()
        """What was breached in the step after it."""
        self._step_users = step_users
        self._max_users = max_users
        self._step_seconds = step_seconds
        self._breaches = breaches
        self._step = 1

    @property
    def users(self) -> int:
        """Of the step that is under way."""
        return min(self._step * self._step_users, self._max_users)

    def tick(self, elapsed: float) -> int | None:
        """How many users there are to be after so many seconds; None: it is over."""
        end = self._step * self._step_seconds
        if elapsed < end:
            return self.users
        self.broken_by = self._breaches(self.users, end - self._step_seconds * JUDGED, end)
        if self.broken_by:
            return None
        self.highest = self.users
        if self.users == self._max_users:
            return None
        self._step += 1
        return self.users

    def outcome(self) -> str:
        """For people."""
        if self.broken_by:
            return f"Steps: {self.highest} users met the objectives, {self.users} did not: {'; '.join(self.broken_by)}."
        return f"Steps: all met the objectives, up to {self.highest} users; the limit is above."
