"""`python -m load.bench`: the command line of the benchmark."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from load.bench.machine import choose_cores, describe_machine
from load.bench.process import allow_many_files
from load.bench.report import markdown
from load.bench.results import Results
from load.bench.rounds import Plan, run_rounds
from load.bench.scenarios import SCENARIOS
from load.bench.servers import SERVER_SPECS, MissingDependency, ServerSpec, install_node_peers, versions_of
from load.keys import cached_keys


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m load.bench",
        description="Compare this server with other chat servers. They take turns on one core of this machine.",
    )
    scenarios, servers = [scenario.name for scenario in SCENARIOS], [spec.name for spec in SERVER_SPECS]
    add = parser.add_argument
    add("--scenario", nargs="+", metavar="NAME", choices=scenarios, help=f"some of {', '.join(scenarios)}")
    add("--server", nargs="+", metavar="NAME", choices=servers, help=f"some of {', '.join(servers)}")
    add("--rounds", type=_positive, help="rounds for each scenario and server  [default: 5; with --quick: 1]")
    add("--seconds", type=float, help="duration of each measurement  [default: 4; with --quick: 1]")
    add("--out", type=Path, default=Path("bench-results"), help="folder for the results  [default: %(default)s]")
    add("--quick", action="store_true", help="few members and short measurements, to check that everything works")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def _print(line: str) -> None:
    print(line, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark. Returns the exit code: 0, 1 if no server can run, 130 after Ctrl+C."""
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, _raise_interrupt)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    allow_many_files()
    cores = choose_cores()
    specs, versions, skipped = _available(
        [one for one in SERVER_SPECS if not arguments.server or one.name in arguments.server], out / "node"
    )
    for line in skipped:
        _print(line)
    if not specs:
        return 1
    if cores.are_shared:
        skipped.append("one core only: the servers and the generator share it, so latencies and rates are unreliable")
        _print(skipped[-1])
    os.sched_setaffinity(0, {cores.generator})
    plan = Plan(
        scenarios=[one for one in SCENARIOS if not arguments.scenario or one.name in arguments.scenario],
        specs=specs,
        rounds=arguments.rounds or (1 if arguments.quick else 5),
        seconds=arguments.seconds or (1.0 if arguments.quick else 4.0),
        is_quick=arguments.quick,
        keys=cached_keys(out / "keys"),
        node_folder=out / "node",
        log_folder=out / "logs",
        server_core=cores.server,
    )
    machine = describe_machine(datetime.datetime.now(datetime.UTC))
    machine["cores"] = f"servers on core {cores.server}, the generator on core {cores.generator}"
    machine["measured"] = f"{plan.rounds} rounds of {plan.seconds:g} s"
    results = Results(machine, versions, skipped, plan.seconds, plan.is_quick)
    try:
        for finished in run_rounds(plan, _print):
            results.rounds.append(finished)
    except KeyboardInterrupt:
        _print("interrupted: the results contain the rounds finished so far")
        _write(results, out)
        return 130
    _write(results, out)
    return 0


def _available(
    specs: list[ServerSpec], node_folder: Path
) -> tuple[list[ServerSpec], dict[str, dict[str, str]], list[str]]:
    """The servers that can run here, the versions of their packages, and a line for each skipped server."""
    versions: dict[str, dict[str, str]] = {}
    skipped: list[str] = []
    if any(spec.is_node for spec in specs):
        try:
            install_node_peers(node_folder)
        except MissingDependency as missing:
            skipped.append(str(missing))
    for spec in specs:
        try:
            versions[spec.name] = versions_of(spec, node_folder)
        except MissingDependency as missing:
            skipped.append(str(missing))
    return [spec for spec in specs if spec.name in versions], versions, skipped


def _write(results: Results, out: Path) -> None:
    (out / "results.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    text = markdown(results, SCENARIOS)
    (out / "results.md").write_text(text)
    _print("\n" + text)
    try:
        from load.bench.plots import draw
    except ModuleNotFoundError as error:
        _print(f"no plots: {error.name} is not installed; pip install '.[bench]'")
        return
    for path in draw(results, SCENARIOS, out):
        _print(f"wrote {path}")


def _raise_interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
