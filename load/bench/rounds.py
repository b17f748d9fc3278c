"""The order of the benchmark: for each scenario the servers by turns, again and again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from load.bench.crowd import LostMembers, NotReady
from load.bench.dialects import RefusedByServer
from load.bench.measuring import NothingDelivered
from load.bench.process import ServerFailed, ServerProcess, free_port
from load.bench.results import Round
from load.bench.scenarios import Run, Scenario
from load.bench.servers import OURS, Kind, command_of, dialect_of
from load.keys import Key

_OUR_OWN = (OURS,)


@dataclass(frozen=True)
class Plan:
    """What to run, and with what."""

    scenarios: Sequence[Scenario]
    kinds: Sequence[Kind]
    rounds: int
    seconds: float
    is_quick: bool
    keys: Sequence[Key]
    node_folder: Path
    log_folder: Path
    server_core: int | None
    """None: wherever the system puts it."""


def turns(plan: Plan) -> Iterator[tuple[int, Scenario, Kind]]:
    """Interleaved, so that what disturbs the machine for a while disturbs all servers alike."""
    for scenario in plan.scenarios:
        kinds = [kind for kind in plan.kinds if scenario.is_for_peers or kind.name in _OUR_OWN]
        for number in range(1, plan.rounds + 1):
            for kind in kinds:
                yield number, scenario, kind


def play_rounds(plan: Plan, tell: Callable[[str], None]) -> Iterator[Round]:
    """Each round as it is done. One that fails is a round with a problem; the others go on."""
    total = sum(1 for _ in turns(plan))
    for at, (number, scenario, kind) in enumerate(turns(plan), 1):
        done = _play(plan, number, scenario, kind)
        found = [
            f"{metric.title}: {done.numbers[metric.key]:,.{metric.digits}f}"
            for metric in scenario.metrics
            if metric.key in done.numbers
        ]
        outcome = "; ".join([*found, *filter(None, [done.problem])])
        tell(f"[{at}/{total}] {scenario.name}, round {number}, {kind.name}: {outcome}")
        yield done


def _play(plan: Plan, number: int, scenario: Scenario, kind: Kind) -> Round:
    folder = Path(tempfile.mkdtemp(prefix="chat-actors-bench-"))

    def serve() -> ServerProcess:
        port = free_port()
        command, environ = command_of(kind, port, folder / str(port), plan.node_folder)
        log = plan.log_folder / f"{scenario.name}-{kind.name}-{number}.log"
        return ServerProcess(kind.name, command, environ, port, plan.server_core, log)

    run = Run(serve, dialect_of(kind, plan.keys), plan.seconds, plan.is_quick)
    try:
        numbers = scenario.run(run)
        return Round(number, scenario.name, kind.name, numbers, "; ".join(run.problems))
    except (ServerFailed, NotReady, LostMembers, RefusedByServer, NothingDelivered, OSError) as error:
        return Round(number, scenario.name, kind.name, {}, str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
