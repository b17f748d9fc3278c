"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from load.bench.dialects import Dialect
from load.bench.generator import LoadGenerator
from load.bench.process import ServerProcess

PACE = "pace"
"""Among a paced scenario's numbers: the share of what was sent that was delivered while it measured."""

Numbers: TypeAlias = Mapping[str, float]
"""By the key of each metric, those of `Shares`, and `PACE` where there is one."""


@dataclass(frozen=True)
class Metric:
    key: str
    title: str
    """With its unit."""
    better: Literal["higher", "lower"]
    digits: int = 0


@dataclass(frozen=True)
class RoundSetup:
    """One round of one scenario against one server."""

    serve: Callable[[], ServerProcess]
    """A new server, not started yet; a scenario that compares two situations starts two."""
    dialect: Dialect
    seconds: float
    is_quick: bool
    problems: list[str] = field(default_factory=list)
    """What went wrong in a part of it, while other parts have numbers."""

    @contextmanager
    def server_and_generator(self) -> Iterator[tuple[ServerProcess, LoadGenerator]]:
        """A server that has just been started, and nobody on it yet; both are gone after."""
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
    """Whether the peers can be asked, too."""
