"""What `python -m load` takes, and what that is on Locust's own command line. Imports no Locust, which patches all."""

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


def _question(scenario: str) -> str:
    """The first line of its docstring, read without running it."""
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
    """The command line."""
    listed = "\n".join(f"  {name:<16} {_question(name)}" for name in scenarios())
    made = argparse.ArgumentParser(
        prog="python -m load",
        description="Put a load on a running server, and judge what it does. Exit code 1: an objective was breached.",
        epilog=f"scenarios:\n{listed}\n\nMore options, of the scenarios and of Locust: python -m load SCENARIO --more",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("scenario", choices=scenarios(), metavar="SCENARIO")
    made.add_argument("--host", default="http://127.0.0.1:8080", help="the server  [default: %(default)s]")
    made.add_argument("--users", type=_at_least_one, default=100, help="how many at once  [default: %(default)s]")
    made.add_argument("--minutes", type=float, default=1.0, help="for how long  [default: %(default)s]")
    made.add_argument("--rate", type=float, help="users that come a second  [default: all within 10 s]")
    made.add_argument("--shape", choices=shapes(), help="how the number of users changes over time")
    made.add_argument("--report", default="load-report", help="folder for reports  [default: %(default)s]")
    made.add_argument("--processes", type=int, help="processes that make the load; -1: one for each core")
    made.add_argument("--more", action="store_true", help="show all options of the scenario, and of Locust")
    return made


def locustfiles(arguments: argparse.Namespace) -> Sequence[Path]:
    """The scenario's, and that of the shape if there is one."""
    scenario = FOLDER / "scenarios" / f"{arguments.scenario}.py"
    return [scenario, FOLDER / "shapes" / f"{arguments.shape}.py"] if arguments.shape else [scenario]


def locust_arguments(arguments: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    """Locust's own command line for what is wanted."""
    argv = ["locust", "--locustfile", ",".join(map(str, locustfiles(arguments)))]
    argv += ["--headless", "--only-summary", "--skip-log-setup", "--host", arguments.host]
    argv += ["--users", str(arguments.users), "--spawn-rate", str(arguments.rate or max(1.0, arguments.users / 10))]
    argv += ["--run-time", f"{max(1, round(arguments.minutes * 60))}s", "--report", arguments.report]
    if arguments.processes:
        # A port of its own, on loopback: Locust's own choice is the same for every test, and open to the network.
        port = str(_free_port())
        argv += ["--processes", str(arguments.processes), "--master-port", port]
        argv += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return [*argv, *rest]
