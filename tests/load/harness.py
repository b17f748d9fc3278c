"""Runs a real server and load tests against it, each in a process of its own, as users start them."""

import contextlib
import json
import os
import re
import selectors
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
NO_LATENCY_LIMITS = Path(__file__).parent / "no_latency_limits.toml"


class Server:
    """A context manager: inside, the server listens at `url`. `fault` is one of `faulty_server.FAULTS`."""

    def __init__(self, folder, fault="none", *arguments):
        self.folder = folder
        self.fault = fault
        self.arguments = arguments

    def __enter__(self):
        config = ("--config", ROOT / "load" / "server.toml", "--dir", self.folder / "data")
        words = ("serve", *config, "--bind", "127.0.0.1:0", *self.arguments)
        with (self.folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.load.faulty_server", self.fault, *map(str, words)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        try:
            self.url = self._read_url()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def wait_for_messages(self, count):
        """Wait until the server has stored that many messages."""
        deadline = time.monotonic() + PATIENCE
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "chat.db")) as data:
            while data.execute("SELECT count(*) FROM messages").fetchone()[0] < count:
                assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
                time.sleep(0.05)

    def _read_url(self):
        deadline = time.monotonic() + PATIENCE
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not (found := re.search(rb"listening on (http\S+:\d+)\s", text)):
                assert selector.select(deadline - time.monotonic()), text
                read = os.read(self.process.stdout.fileno(), 4096)
                assert read, (text, (self.folder / "server.log").read_text())
                text += read
        return found[1].decode()


class Load:
    """`python -m load` in a process of its own, started at once. `verdict()` waits for its end.

    A context manager: on leaving it, the load test and its workers are killed if they still run.
    """

    def __init__(self, url, folder, scenario, *arguments, users=20, seconds=6, objectives=None):
        self.folder = folder
        words = (scenario, "--host", url, "--users", users, "--rate", users, "--minutes", seconds / 60, "--keys", 2)
        judging = ("--objectives", objectives) if objectives is not None else ()
        folder.mkdir()
        self.output = (folder / "output").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "load", *map(str, (*words, "--report", folder / "report", *judging, *arguments))],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            env=os.environ,
        )

    def wait_for(self, pattern):
        """Wait until the pattern matches in the output."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, written := (self.folder / "output").read_text()):
            assert time.monotonic() < deadline, written
            assert self.process.poll() is None, written
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(self.process.pid).children(recursive=True):
                worker.kill()
        self.process.kill()
        self.process.wait()
        self.output.close()

    def verdict(self):
        """The exit code, and the report's `verdict.json`."""
        try:
            code = self.process.wait(PATIENCE)
        finally:
            self.text = (self.folder / "output").read_text()
            self.__exit__()
        found = list(self.folder.glob("report/*/verdict.json"))
        assert len(found) == 1, self.text
        self.page = found[0].with_name("report.html")
        return code, json.loads(found[0].read_text())


def counts(verdict):
    """Successes of each operation."""
    return {name: summary["count"] for name, summary in verdict["summaries"].items()}


def breached(verdict):
    return [f["objective"] for f in verdict["findings"] if f["measured"] is not None and not is_met(f)]


def is_met(finding):
    if finding["is_lower_bound"]:
        return finding["measured"] >= finding["limit"]
    return finding["measured"] <= finding["limit"]
