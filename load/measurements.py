"""Everything that a load test measures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from load.records import Records
from load.server_monitor import Sample


@dataclass
class Measurements:
    """The measurements of one load test, filled while it runs."""

    scenario: str
    server: str
    """Address and, if found, process of the server."""
    records: Records
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences for the verdict, such as the result of a load shape."""
    problems: list[str] = field(default_factory=list)
    """Reasons why the test did not run as planned. Any of them makes it fail."""
    began: float = math.nan
    """Unix time in seconds; NaN before the test begins."""
    ended: float = math.nan
    """Unix time in seconds; NaN before the test ends."""

    def begin(self, now: float, server: str) -> None:
        """Begin a test and discard all earlier measurements."""
        self.records.take_delta()
        self.samples.clear()
        self.notes.clear()
        self.problems.clear()
        self.began, self.ended, self.server = now, math.nan, server
