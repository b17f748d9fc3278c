"""A line that says how the load test goes on: on a terminal one that changes, elsewhere one now and then."""

from __future__ import annotations

import math
import sys
import time

import click
import gevent

from load import exchanges
from load.run import LoadRun
from load.verdict import number

TERMINAL_EVERY = 1.0
OTHERWISE_EVERY = 10.0
WINDOW = 10.0
"""Seconds that the numbers are of."""


class Progress:
    """Writes to the error stream, so that the output can be kept."""

    def __init__(self, run: LoadRun) -> None:
        self._run = run
        self._is_terminal = sys.stderr.isatty()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._go_on)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
            if self._is_terminal:
                click.echo(err=True)

    def _go_on(self) -> None:
        while True:
            gevent.sleep(TERMINAL_EVERY if self._is_terminal else OTHERWISE_EVERY)
            line = self._line()
            click.echo(f"\r\x1b[K{line}" if self._is_terminal else line, err=True, nl=not self._is_terminal)

    def _line(self) -> str:
        measured, now = self._run.measured, time.time()
        records = measured.records
        delivery = records.summary(exchanges.DELIVERY, now - WINDOW - records.interval)
        echo = records.summary(exchanges.ECHO, now - WINDOW - records.interval)
        of_all = f" of {self._run.options.run_time} s" if self._run.options.run_time else " s"
        users = measured.samples[-1].users if measured.samples else 0
        cpu = measured.samples[-1].cpu_percent if measured.samples else math.nan
        parts = [
            f"{now - measured.began:.0f}{of_all}",
            f"{users} users",
            f"{number(delivery.per_second if delivery.count else 0)} deliveries/s",
            f"echo p50 {number(echo.p50)} p99 {number(echo.p99)} ms",
            f"{number(records.failures())} failures",
        ]
        if not math.isnan(cpu):
            parts.append(f"server {cpu:.0f} % CPU")
        return ", ".join(parts)
