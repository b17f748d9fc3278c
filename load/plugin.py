"""The Locust plugin that each scenario installs: it adds options, and records and judges the test."""

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
"""Exit code: an objective was breached, or the test did not run as planned."""

BAD_OPTIONS = 2
"""Exit code: invalid options."""

_runs: weakref.WeakKeyDictionary[Environment, LoadRun] = weakref.WeakKeyDictionary()
"""The run of each environment. Locust creates users itself and passes them nothing but the environment."""


def run_of(environment: Environment) -> LoadRun:
    """The run that `install` created for this environment."""
    return _runs[environment]


def run_of_shape(shape: locust.LoadTestShape) -> LoadRun:
    """The run to which a load shape belongs. Call it from `tick`."""
    if shape.runner is None:
        raise RuntimeError("the load shape has not started yet")
    return run_of(shape.runner.environment)


def install(scenario: str, events: locust.event.Events = locust.events) -> None:
    """Call this once in a scenario's file, as `install(__file__)`. The objectives are in the `.toml` file beside it."""
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
    """Install what only one process does: the one that has all records, so not a worker."""
    progress = Progress(run)
    # By default Locust drops a worker whose heartbeat is 3 s late, which happens on a busy machine.
    locust.runners.HEARTBEAT_LIVENESS = 30
    events.test_stopping.add_listener(run.on_test_stopping)

    @events.test_start.add_listener
    def start(**_: Any) -> None:
        progress.start()

    @events.quitting.add_listener
    def quit_early(environment: Environment, **_: Any) -> None:
        # After Ctrl+C, Locust reads the exit code before it stops the test.
        if environment.runner is not None:
            environment.runner.stop()

    @events.test_stop.add_listener
    def stop(environment: Environment, **_: Any) -> None:
        environment.process_exit_code = FAILED  # until the verdict is known and the report is written
        progress.stop()
        run.on_test_stop()
        verdict = Verdict.of(run.measurements, run.objectives)
        click.echo(verdict.as_text())
        if run.options.report:
            try:
                click.echo(f"report: {write_report(run.measurements, verdict, Path(run.options.report))}")
            except OSError as error:
                click.echo(f"load: cannot write the report: {error}", err=True)
                return
        environment.process_exit_code = 0 if verdict.is_met else FAILED


def at_least(least: float) -> Callable[[str], float]:
    """An argparse type for numbers not less than `least`; integers if `least` is one."""

    def convert(text: str) -> float:
        number = type(least)(text)
        if number < least:
            raise ArgumentTypeError(f"must be {least} or more, not {text}")
        return number

    return convert


def _add_options(parser: ArgumentParser, **_: Any) -> None:
    group = parser.add_argument_group("Chat")
    add = group.add_argument
    add("--room-size", type=at_least(1), default=10, help="Users per room, in scenarios with many rooms")
    add("--say-every", type=at_least(0.001), default=5.0, help="Mean seconds between two messages of a user")
    add("--chars", type=at_least(0), default=100, help="Minimum characters in a message")
    add("--ca", default="", help="PEM file of the authority that signed the server's certificate")
    add("--keys", type=at_least(1), default=32, help="Number of RSA keys that the users share")
    add("--server-pid", type=int, help="Process of the server  [default: the one that listens at --host, if local]")
    add("--objectives", default="", help="TOML file with objectives  [default: the one beside the scenario]")
    add("--report", default="", help="Folder for the report (HTML, JSON, CSV)")
