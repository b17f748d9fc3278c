"""All that one load test has measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from load.records import Records
from load.server_monitor import Sample


@dataclass
class Measurements:
    """Filled while the test runs. Times in seconds since the epoch, NaN before there is one."""

    scenario: str
    server: str
    """Where it is, and which process, if that could be found."""
    records: Records
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences for the verdict, such as what a shape has found out."""
    problems: list[str] = field(default_factory=list)
    """Why this is not what was wanted, whatever was measured: sentences. Any makes the test fail."""
    began: float = math.nan
    ended: float = math.nan

    def begin(self, now: float, server: str) -> None:
        """A test begins; what was measured before is forgotten."""
        self.records.take_delta()
        self.samples.clear()
        self.notes.clear()
        self.problems.clear()
        self.began, self.ended, self.server = now, math.nan, server
