"""A search for the server's capacity: the load grows in steps until one breaches an objective. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

JUDGED = 2 / 3
"""The last part of each step, which is judged. Before it, new users still connect."""

Breaches: TypeAlias = Callable[[int, float, float], Sequence[str]]


class StepLoad:
    """Adds `step_users` in each step, up to `max_users`, until a step breaches an objective.

    `breaches(users, since, until)` returns the objectives that were breached in a time window, in seconds since the
    beginning of the test.
    """

    def __init__(self, step_users: int, max_users: int, step_seconds: float, breaches: Breaches) -> None:
        self.highest = 0
        """Users in the highest step that met all objectives."""
        self.broken_by: Sequence[str] = ()
        """Breached objectives of the next step."""
        self._step_users = step_users
        self._max_users = max_users
        self._step_seconds = step_seconds
        self._breaches = breaches
        self._step = 1

    @property
    def users(self) -> int:
        """Users in the current step."""
        return min(self._step * self._step_users, self._max_users)

    def tick(self, elapsed: float) -> int | None:
        """The target number of users after `elapsed` seconds, or None at the end."""
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
        """The result in one sentence."""
        if self.broken_by:
            return f"Steps: {self.highest} users met the objectives, {self.users} did not: {'; '.join(self.broken_by)}."
        return f"Steps: all met the objectives, up to {self.highest} users; the capacity is higher."
