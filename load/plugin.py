"""What a scenario's file says to Locust: which options there are, and that its run is recorded and judged."""

from __future__ import annotations

import weakref
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import click
import locust
from locust.env import Environment
from locust.runners import WorkerRunner

from load.objectives import BadObjectives
from load.progress import Progress
from load.report import write_report
from load.run import LoadRun
from load.verdict import Verdict
from load.wire import BadAddress

FAILED = 1
"""Exit code: an objective was breached."""

BAD_OPTIONS = 2
"""Exit code."""

_runs: weakref.WeakKeyDictionary[Environment, LoadRun] = weakref.WeakKeyDictionary()
"""Locust makes the environment and the users, and hands nothing of ours to them: this is where they find it."""


def run_of(environment: Environment) -> LoadRun:
    """The run of this environment, made by `install`."""
    return _runs[environment]


def run_of_shape(shape: locust.LoadTestShape) -> LoadRun:
    """The run that this shape belongs to; for its `tick`."""
    if shape.runner is None:
        raise RuntimeError("a shape has a runner once it runs")
    return run_of(shape.runner.environment)


def install(scenario: str, events: locust.event.Events = locust.events) -> None:
    """To be called once by a scenario's file, with its own path: its objectives lie beside it, as `.toml`."""
    events.init_command_line_parser.add_listener(_add_options)

    @events.init.add_listener
    def begin(environment: Environment, **_: Any) -> None:
        options = environment.parsed_options or Namespace()
        try:
            run = _runs[environment] = LoadRun(environment, options, Path(scenario))
        except (BadAddress, BadObjectives, OSError) as error:
            click.echo(f"load: {error}", err=True)
            raise SystemExit(BAD_OPTIONS) from None
        events.request.add_listener(run.on_request)
        events.report_to_master.add_listener(run.on_report_to_master)
        events.worker_report.add_listener(run.on_worker_report)
        events.test_start.add_listener(run.on_test_start)
        if isinstance(environment.runner, WorkerRunner):
            events.test_stop.add_listener(run.on_test_stop)
        else:
            _lead(run, events)


def _lead(run: LoadRun, events: locust.event.Events) -> None:
    """What only the process does that has all the records."""
    progress = Progress(run)

    @events.test_start.add_listener
    def start(**_: Any) -> None:
        progress.start()

    @events.test_stop.add_listener
    def stop(environment: Environment, **_: Any) -> None:
        progress.stop()
        run.on_test_stop()
        verdict = Verdict.of(run.measured, run.objectives)
        click.echo(verdict.as_text())
        if run.options.report:
            click.echo(f"report: {write_report(run.measured, verdict, Path(run.options.report))}")
        environment.process_exit_code = 0 if verdict.is_met else FAILED


def _add_options(parser: ArgumentParser, **_: Any) -> None:
    group = parser.add_argument_group("Chat")
    group.add_argument("--room-size", type=int, default=10, help="Users in a room, where the scenario has many rooms")
    group.add_argument(
        "--say-every", type=float, default=5.0, help="Seconds between two messages of a user, on average"
    )
    group.add_argument("--chars", type=int, default=100, help="Characters in a message, at least")
    group.add_argument("--ca", default="", help="PEM file of who signed the server's certificate")
    group.add_argument("--keys", type=int, default=32, help="RSA keys that the users share")
    group.add_argument(
        "--server-pid", type=int, help="The server's process  [default: who listens there, on this machine]"
    )
    group.add_argument("--objectives", default="", help="TOML file  [default: the one beside the scenario]")
    group.add_argument("--report", default="", help="Folder for the report: HTML, JSON, CSV")
