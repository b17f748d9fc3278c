"""Runs the rounds of the benchmark: for each scenario, every server once in each round."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from load.bench.dialects import RefusedByServer
from load.bench.generator import LostMembers, NotReady
from load.bench.measurement import NothingDelivered
from load.bench.process import ServerFailed, ServerProcess, free_port
from load.bench.results import Round
from load.bench.scenarios import RoundSetup, Scenario
from load.bench.servers import OURS, ServerSpec, command_of, dialect_of
from load.keys import Key

_OURS_ONLY = (OURS,)


@dataclass(frozen=True)
class Plan:
    """The scenarios and servers to run, and how."""

    scenarios: Sequence[Scenario]
    specs: Sequence[ServerSpec]
    rounds: int
    seconds: float
    is_quick: bool
    keys: Sequence[Key]
    node_folder: Path
    log_folder: Path
    server_core: int | None
    """None: servers are not pinned."""


def schedule(plan: Plan) -> Iterator[tuple[int, Scenario, ServerSpec]]:
    """The order of the rounds. Servers are interleaved, so that a temporary disturbance affects all of them alike."""
    for scenario in plan.scenarios:
        specs = [spec for spec in plan.specs if scenario.is_for_peers or spec.name in _OURS_ONLY]
        for number in range(1, plan.rounds + 1):
            for spec in specs:
                yield number, scenario, spec


def run_rounds(plan: Plan, report: Callable[[str], None]) -> Iterator[Round]:
    """Yield each finished round. A round that fails has a problem instead of numbers; the benchmark continues."""
    total = sum(1 for _ in schedule(plan))
    for index, (number, scenario, spec) in enumerate(schedule(plan), 1):
        finished = _run_round(plan, number, scenario, spec)
        values = [
            f"{metric.title}: {finished.numbers[metric.key]:,.{metric.digits}f}"
            for metric in scenario.metrics
            if metric.key in finished.numbers
        ]
        outcome = "; ".join([*values, *filter(None, [finished.problem])])
        report(f"[{index}/{total}] {scenario.name}, round {number}, {spec.name}: {outcome}")
        yield finished


def _run_round(plan: Plan, number: int, scenario: Scenario, spec: ServerSpec) -> Round:
    folder = Path(tempfile.mkdtemp(prefix="chat-actors-bench-"))

    def serve() -> ServerProcess:
        port = free_port()
        command, environ = command_of(spec, port, folder / str(port), plan.node_folder)
        log = plan.log_folder / f"{scenario.name}-{spec.name}-{number}.log"
        return ServerProcess(spec.name, command, environ, port, plan.server_core, log)

    setup = RoundSetup(serve, dialect_of(spec, plan.keys), plan.seconds, plan.is_quick)
    try:
        numbers = scenario.run(setup)
        return Round(number, scenario.name, spec.name, numbers, "; ".join(setup.problems))
    except (ServerFailed, NotReady, LostMembers, RefusedByServer, NothingDelivered, OSError) as error:
        return Round(number, scenario.name, spec.name, {}, str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
