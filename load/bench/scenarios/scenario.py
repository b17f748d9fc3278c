"""The definition of a benchmark scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from load.bench.dialects import Dialect
from load.bench.generator import LoadGenerator
from load.bench.process import ServerProcess

PACE = "pace"
"""The key of the share of sent messages that were delivered during the measurement; only for open-loop scenarios."""

Numbers: TypeAlias = Mapping[str, float]
"""The results of a round by key: those of the metrics, those of `Shares`, and `PACE` in open-loop scenarios."""


@dataclass(frozen=True)
class Metric:
    """One result of a scenario, a row of its table."""

    key: str
    title: str
    """Includes the unit."""
    better: Literal["higher", "lower"]
    digits: int = 0
    """Decimal places in reports."""


@dataclass(frozen=True)
class RoundSetup:
    """The inputs of one round: one scenario against one server."""

    serve: Callable[[], ServerProcess]
    """Creates a server, which the scenario starts. A scenario may start several, one after the other."""
    dialect: Dialect
    seconds: float
    is_quick: bool
    problems: list[str] = field(default_factory=list)
    """Failures of parts of the round. The other parts still have numbers."""

    @contextmanager
    def server_and_generator(self) -> Iterator[tuple[ServerProcess, LoadGenerator]]:
        """A freshly started server, and a generator without clients. Both are stopped at the end."""
        with self.serve() as server:
            generator = LoadGenerator(server.port, self.dialect)
            try:
                yield server, generator
            finally:
                generator.close()


@dataclass(frozen=True)
class Scenario:
    """A load, with the question that it answers and the metrics that it reports."""

    name: str
    title: str
    question: str
    metrics: tuple[Metric, ...]
    run: Callable[[RoundSetup], Numbers]
    is_for_peers: bool = True
    """Whether it also runs against the peers, which are the other chat servers."""
