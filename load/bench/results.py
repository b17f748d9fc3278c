"""The results of a benchmark: the rounds, and the medians, ratios and warnings computed from them. No I/O."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from load.bench.measurement import DISTURBED, GENERATOR
from load.bench.scenarios import PACE, Numbers, Scenario
from load.bench.servers import OURS

MAX_GENERATOR_SHARE = 0.9
"""Above this share of its core, the generator may limit the result instead of the server."""

MAX_DISTURBED = 0.05
"""Above this share of a core for other processes, rates and latencies are worse than on a quiet machine."""

MIN_PACE = 0.95
"""Below this share of delivered messages, the server could not keep up with the senders."""


@dataclass(frozen=True)
class Spread:
    """The median, minimum and maximum over several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Raises `statistics.StatisticsError` if there are no values."""
        return cls(statistics.median(values), min(values), max(values))

    def formatted(self, digits: int) -> str:
        if self.low == self.high:
            return f"{self.median:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}..{self.high:,.{digits}f})"


@dataclass(frozen=True)
class Round:
    """The result of one scenario against one server: its numbers, or the problem that prevented them."""

    number: int
    scenario: str
    server: str
    numbers: Numbers
    problem: str = ""


@dataclass
class Results:
    """All rounds of a benchmark, with the machine and the versions."""

    machine: dict[str, str]
    versions: dict[str, dict[str, str]]
    """Package versions by server."""
    skipped: list[str]
    seconds: float
    is_quick: bool
    rounds: list[Round] = field(default_factory=list)

    def servers_of(self, scenario: Scenario) -> list[str]:
        """The servers with at least one round, in the order of their first round."""
        return list(dict.fromkeys(one.server for one in self.rounds if one.scenario == scenario.name))

    def values(self, scenario: Scenario, server: str, key: str) -> dict[int, float]:
        """One number of a scenario, by round."""
        return {one.number: one.numbers[key] for one in self._of(scenario, server) if key in one.numbers}

    def spread(self, scenario: Scenario, server: str, key: str) -> Spread | None:
        values = self.values(scenario, server, key)
        return Spread.of(list(values.values())) if values else None

    def ratio(self, scenario: Scenario, server: str, key: str) -> Spread | None:
        """The value of chat_actors divided by that of `server`, computed for each round."""
        ours, theirs = self.values(scenario, OURS, key), self.values(scenario, server, key)
        ratios = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
        return Spread.of(ratios) if ratios else None

    def warnings(self, scenario: Scenario, server: str) -> list[str]:
        """Why numbers are unreliable or missing."""
        warnings = [f"round {one.number}: {one.problem}" for one in self._of(scenario, server) if one.problem]
        busiest = max(self.values(scenario, server, GENERATOR).values(), default=0.0)
        if busiest > MAX_GENERATOR_SHARE:
            warnings.append(f"the generator used {busiest:.0%} of its core, so the server may be faster than this")
        disturbed = max(self.values(scenario, server, DISTURBED).values(), default=0.0)
        if disturbed > MAX_DISTURBED:
            warnings.append(f"other processes used its core or the generator's for {disturbed:.0%} of the time")
        slowest = min(self.values(scenario, server, PACE).values(), default=1.0)
        if slowest < MIN_PACE:
            warnings.append(f"it delivered only {slowest:.0%} of the messages in time, so it did not keep up")
        return warnings

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def _of(self, scenario: Scenario, server: str) -> list[Round]:
        return [one for one in self.rounds if one.scenario == scenario.name and one.server == server]
