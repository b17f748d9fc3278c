"""What a benchmark found out, round by round, and the ratios in it. No I/O but writing and reading JSON."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from load.bench.measurement import DISTURBED, GENERATOR
from load.bench.scenarios import PACE, Numbers, Scenario
from load.bench.servers import OURS

MAX_GENERATOR_SHARE = 0.9
"""Where the generator used more of its core than this, the number may be the generator's and not the server's."""

MAX_DISTURBED = 0.05
"""Where something else took more of a core than this, rates and latencies are worse than they should be."""

MIN_PACE = 0.95
"""Where less than this share of what was sent was delivered, the server could not keep the pace."""


@dataclass(frozen=True)
class Spread:
    """The median of several rounds, the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Raises `statistics.StatisticsError` for no values."""
        return cls(statistics.median(values), min(values), max(values))

    def formatted(self, digits: int) -> str:
        if self.low == self.high:
            return f"{self.median:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}..{self.high:,.{digits}f})"


@dataclass(frozen=True)
class Round:
    """One scenario once against one server: its numbers, or why there are none."""

    number: int
    scenario: str
    server: str
    numbers: Numbers
    problem: str = ""


@dataclass
class Results:
    """All rounds of a benchmark, and where and with what they were run."""

    machine: dict[str, str]
    versions: dict[str, dict[str, str]]
    """By server."""
    skipped: list[str]
    seconds: float
    is_quick: bool
    rounds: list[Round] = field(default_factory=list)

    def servers_of(self, scenario: Scenario) -> list[str]:
        """Those with at least one round, in the order in which they were run."""
        return list(dict.fromkeys(one.server for one in self.rounds if one.scenario == scenario.name))

    def values(self, scenario: Scenario, server: str, key: str) -> dict[int, float]:
        """One of a scenario's numbers, by the number of the round."""
        return {one.number: one.numbers[key] for one in self._of(scenario, server) if key in one.numbers}

    def spread(self, scenario: Scenario, server: str, key: str) -> Spread | None:
        values = self.values(scenario, server, key)
        return Spread.of(list(values.values())) if values else None

    def ratio(self, scenario: Scenario, server: str, key: str) -> Spread | None:
        """What chat_actors has, divided by what this server has, both of the same round."""
        ours, theirs = self.values(scenario, OURS, key), self.values(scenario, server, key)
        ratios = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
        return Spread.of(ratios) if ratios else None

    def warnings(self, scenario: Scenario, server: str) -> list[str]:
        """Why its numbers are to be taken with care, or are missing."""
        warnings = [f"round {one.number}: {one.problem}" for one in self._of(scenario, server) if one.problem]
        busiest = max(self.values(scenario, server, GENERATOR).values(), default=0.0)
        if busiest > MAX_GENERATOR_SHARE:
            warnings.append(f"the generator used {busiest:.0%} of its core, so the server may be faster than this")
        disturbed = max(self.values(scenario, server, DISTURBED).values(), default=0.0)
        if disturbed > MAX_DISTURBED:
            warnings.append(f"something else had its core or the generator's for {disturbed:.0%} of the time")
        slowest = min(self.values(scenario, server, PACE).values(), default=1.0)
        if slowest < MIN_PACE:
            warnings.append(f"it delivered only {slowest:.0%} of what was sent, so it did not keep the pace")
        return warnings

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def _of(self, scenario: Scenario, server: str) -> list[Round]:
        return [one for one in self.rounds if one.scenario == scenario.name and one.server == server]
