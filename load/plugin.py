"""What a scenario's file says to Locust: which options there are, and that its run is recorded and judged."""

from __future__ import annotations

import weakref
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import locust
import locust.runners
from locust.env import Environment
from locust.runners import WorkerRunner

from load.objectives import BadObjectives
from load.progress import Progress
from load.report import write_report
from load.run import LoadRun
from load.server_monitor import NoSuchServer
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
            if options.report:
                Path(options.report).mkdir(parents=True, exist_ok=True)
        except (BadAddress, BadObjectives, NoSuchServer, OSError) as error:
            click.echo(f"load: {error}", err=True)
            raise SystemExit(BAD_OPTIONS) from None
        events.request.add_listener(run.on_request)
        events.report_to_master.add_listener(run.on_report_to_master)
        events.worker_report.add_listener(run.on_worker_report)
        events.test_start.add_listener(run.on_test_start)
        if isinstance(environment.runner, WorkerRunner):
            events.test_stop.add_listener(run.on_test_stop)
        else:
            _install_leader(run, events)


def _install_leader(run: LoadRun, events: locust.event.Events) -> None:
    """What only the process does that has all the records."""
    progress = Progress(run)
    # A busy machine makes workers late, and a worker that is late by 3 s (Locust's own choice) would end the test.
    locust.runners.HEARTBEAT_LIVENESS = 30
    events.test_stopping.add_listener(run.on_test_stopping)

    @events.test_start.add_listener
    def start(**_: Any) -> None:
        progress.start()

    @events.quitting.add_listener
    def quit_early(environment: Environment, **_: Any) -> None:
        # After Ctrl+C, Locust takes the exit code before it stops the test.
        if environment.runner is not None:
            environment.runner.stop()

    @events.test_stop.add_listener
    def stop(environment: Environment, **_: Any) -> None:
        environment.process_exit_code = FAILED  # unless the rest goes well
        progress.stop()
        run.on_test_stop()
        verdict = Verdict.of(run.measurements, run.objectives)
        click.echo(verdict.as_text())
        if run.options.report:
            try:
                click.echo(f"report: {write_report(run.measurements, verdict, Path(run.options.report))}")
            except OSError as error:
                click.echo(f"load: the report could not be written: {error}", err=True)
                return
        environment.process_exit_code = 0 if verdict.is_met else FAILED


def at_least(least: float) -> Callable[[str], float]:
    """For an option that is a number: not less than this; whole, if this is."""

    def convert(text: str) -> float:
        number = type(least)(text)
        if number < least:
            raise ArgumentTypeError(f"must be {least} or more, not {text}")
        return number

    return convert


def _add_options(parser: ArgumentParser, **_: Any) -> None:
    group = parser.add_argument_group("Chat")
    group.add_argument("--room-size", type=at_least(1), default=10, help="Users in a room, if there are many rooms")
    group.add_argument(
        "--say-every", type=at_least(0.001), default=5.0, help="Seconds between two messages of a user, on average"
    )
    group.add_argument("--chars", type=at_least(0), default=100, help="Characters in a message, at least")
    group.add_argument("--ca", default="", help="PEM file of who signed the server's certificate")
    group.add_argument("--keys", type=at_least(1), default=32, help="RSA keys that the users share")
    group.add_argument(
        "--server-pid", type=int, help="The server's process  [default: who listens there, on this machine]"
    )
    group.add_argument("--objectives", default="", help="TOML file  [default: the one beside the scenario]")
    group.add_argument("--report", default="", help="Folder for the report: HTML, JSON, CSV")
