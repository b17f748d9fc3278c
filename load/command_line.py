"""The command line of `python -m load`, and its translation into Locust's.

Does not import Locust, since that monkey-patches the standard library.
"""

from __future__ import annotations

import argparse
import ast
import socket
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent


def scenarios() -> Sequence[str]:
    """The names of all scenarios."""
    return _names("scenarios")


def shapes() -> Sequence[str]:
    """The names of all load shapes."""
    return _names("shapes")


def _names(folder: str) -> Sequence[str]:
    return sorted(path.stem for path in (FOLDER / folder).glob("*.py") if not path.stem.startswith("_"))


def _summary(scenario: str) -> str:
    """The first line of the scenario's docstring, read without importing it."""
    text = (FOLDER / "scenarios" / f"{scenario}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or scenario).splitlines()[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return number


def make_parser() -> argparse.ArgumentParser:
    """The parser of `python -m load`; it leaves unknown options to Locust."""
    listed = "\n".join(f"  {name:<16} {_summary(name)}" for name in scenarios())
    parser = argparse.ArgumentParser(
        prog="python -m load",
        description="Load-test a running server and check the results against the scenario's objectives.\n"
        "Exit codes: 0 passed, 1 failed, 2 bad options.",
        epilog=f"scenarios:\n{listed}\n\nFor all options of a scenario and of Locust: python -m load SCENARIO --more",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("scenario", choices=scenarios(), metavar="SCENARIO", help="one of the scenarios listed below")
    add("--host", default="http://127.0.0.1:8080", help="URL of the server  [default: %(default)s]")
    add("--users", type=_at_least_one, default=100, help="peak number of virtual users  [default: %(default)s]")
    add("--minutes", type=float, default=1.0, help="duration of the test  [default: %(default)s]")
    add("--rate", type=float, help="users started per second  [default: all within 10 s]")
    add("--shape", choices=shapes(), help="how the number of users changes over time")
    add("--report", default="load-report", help="folder for reports  [default: %(default)s]")
    add("--processes", type=int, help="load generator processes; -1: one per core")
    add("--more", action="store_true", help="show all options of the scenario and of Locust, and exit")
    return parser


def locustfiles(arguments: argparse.Namespace) -> Sequence[Path]:
    """The locustfiles of the scenario and, if there is one, of the load shape."""
    scenario = FOLDER / "scenarios" / f"{arguments.scenario}.py"
    return [scenario, FOLDER / "shapes" / f"{arguments.shape}.py"] if arguments.shape else [scenario]


def locust_arguments(arguments: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Locust's command line for these arguments; `rest` are options that only Locust knows."""
    argv = ["locust", "--locustfile", ",".join(map(str, locustfiles(arguments)))]
    argv += ["--headless", "--only-summary", "--skip-log-setup", "--host", arguments.host]
    argv += ["--users", str(arguments.users), "--spawn-rate", str(arguments.rate or max(1.0, arguments.users / 10))]
    argv += ["--run-time", f"{max(1, round(arguments.minutes * 60))}s", "--report", arguments.report]
    if arguments.processes:
        # Locust's default port is the same for every test, and open to the network.
        port = str(_free_port())
        argv += ["--processes", str(arguments.processes), "--master-port", port]
        argv += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return [*argv, *rest]
