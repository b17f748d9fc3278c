"""The definition of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from load.bench.dialects import Dialect
from load.bench.generator import LoadGenerator
from load.bench.process import ServerProcess

PACE = "pace"
"""The key of an open-loop scenario's share of sent messages that were delivered during the measurement."""

Numbers: TypeAlias = Mapping[str, float]
"""Values by key: those of the metrics, those of `Shares`, and `PACE` in open-loop scenarios."""


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    """Includes the unit."""
    better: Literal["higher", "lower"]
    digits: int = 0


@dataclass(frozen=True)
class RoundSetup:
    """The inputs of one round: one scenario against one server."""

    serve: Callable[[], ServerProcess]
    """Creates a server that is not started yet. A scenario may start several, one after the other."""
    dialect: Dialect
    seconds: float
    is_quick: bool
    problems: list[str] = field(default_factory=list)
    """Problems in parts of the round, while other parts have numbers."""

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
    name: str
    title: str
    question: str
    metrics: tuple[Metric, ...]
    run: Callable[[RoundSetup], Numbers]
    is_for_peers: bool = True
    """Whether it runs against the peers too."""
