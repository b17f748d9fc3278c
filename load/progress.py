"""The progress line of a load test: updated in place on a terminal, otherwise printed every 10 s."""

from __future__ import annotations

import math
import sys
import time

import click
import gevent

from load import operations
from load.run import LoadRun
from load.verdict import format_number

TERMINAL_INTERVAL = 1.0
LOG_INTERVAL = 10.0
WINDOW = 10.0
"""Seconds over which rates and latencies are computed."""


class Progress:
    """Prints the progress to standard error, so that standard output contains only the results."""

    def __init__(self, run: LoadRun) -> None:
        self._run = run
        self._is_terminal = sys.stderr.isatty()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run_forever)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
            if self._is_terminal:
                click.echo(err=True)

    def _run_forever(self) -> None:
        while True:
            gevent.sleep(TERMINAL_INTERVAL if self._is_terminal else LOG_INTERVAL)
            line = self._line()
            click.echo(f"\r\x1b[K{line}" if self._is_terminal else line, err=True, nl=not self._is_terminal)

    def _line(self) -> str:
        measurements, now = self._run.measurements, time.time()
        records = measurements.records
        delivery = records.summary(operations.DELIVERY, now - WINDOW - records.interval)
        echo = records.summary(operations.ECHO, now - WINDOW - records.interval)
        of_all = f" of {self._run.options.run_time} s" if self._run.options.run_time else " s"
        users = measurements.samples[-1].users if measurements.samples else 0
        cpu = measurements.samples[-1].cpu_percent if measurements.samples else math.nan
        parts = [
            f"{now - measurements.began:.0f}{of_all}",
            f"{users} users",
            f"{format_number(delivery.per_second if delivery.count else 0)} deliveries/s",
            f"echo p50 {format_number(echo.p50)} p99 {format_number(echo.p99)} ms",
            f"{format_number(records.failures())} failures",
        ]
        if not math.isnan(cpu):
            parts.append(f"server {cpu:.0f} % CPU")
        return ", ".join(parts)
