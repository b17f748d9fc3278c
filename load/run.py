"""A load test under Locust. Every process records; the master, or the only process, also samples the server."""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import gevent
import msgspec
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from load import operations
from load.keys import Key, cached_keys, keys_folder
from load.measurements import Measurements
from load.objectives import Objectives, load_objectives
from load.records import Records, RecordsDelta
from load.server_monitor import ServerMonitor, find_server
from load.wire import Address, BadAddress

MAX_INTERVALS = 900
"""Longer tests get longer intervals, which bounds memory and plots."""

LAG_INTERVAL = 0.05
"""Seconds between two measurements of the load generator's lag."""

SETTLE_SECONDS = 2.0
"""Seconds between the end of the last user and the last sample of the server's memory."""

LAST_REPORT_TIMEOUT = 20.0
"""Seconds in which a worker must stop its users and send its last report. A later one counts as lost."""

STOP_TOLERANCE = 2.0
"""Seconds by which a test may end early without counting as interrupted, since timers of a busy process are inexact."""

_DELTA_KEY = "chat_actors"
_USERS_KEY = "chat_actors_users"


class LoadRun:
    """The load test of one `Environment`. A worker only records, and reports to its master every few seconds."""

    def __init__(self, environment: Environment, options: argparse.Namespace, scenario: Path) -> None:
        self.environment = environment
        self.options = options
        self._address = Address.of(environment.host, options.ca) if environment.host else None
        self.objectives = _load_objectives(options.objectives, scenario.with_suffix(".toml"))
        if options.server_pid is not None:
            ServerMonitor(options.server_pid)  # raises now, not at the start of the test
        self.measurements = Measurements(scenario.stem, "", Records(_interval(options.run_time)))
        self._keys = cached_keys(keys_folder(), options.keys)
        gevent.get_hub().loop.update_now()  # generating keys may take seconds, and timers start from the loop's time
        self._user_numbers = itertools.count()
        self._workers: set[str] = set()  # ids of all workers that have ever reported
        self._awaited: set[str] = set()  # ids of the workers whose last report is missing
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    @property
    def address(self) -> Address:
        """The server's address. Raises `BadAddress` if none is set."""
        if self._address is None:
            raise BadAddress(self.environment.host or "")
        return self._address

    @property
    def is_worker(self) -> bool:
        return isinstance(self.environment.runner, WorkerRunner)

    def next_number(self) -> int:
        """A number for a new user, unique in this process."""
        return next(self._user_numbers)

    def key(self, number: int) -> Key:
        """The key of a user; see `load.keys` for why users share keys."""
        return self._keys[number % len(self._keys)]

    # -- called by Locust ----------------------------------------------------------------------------------------------

    def on_request(self, name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
        if exception is None:
            self.measurements.records.record_success(name, response_time, time.time())
        else:
            self.measurements.records.record_failure(name, str(exception), time.time())

    def on_test_start(self, **_: Any) -> None:
        began = time.time()  # Locust's own clock runs already, and finding the server may take seconds
        self._kill_greenlets()
        # Only now: a worker receives the address from its master, and Locust's web page can change it.
        self._address = Address.of(self.environment.host or "", self.options.ca)
        monitor = ServerMonitor(None if self.is_worker else self._find_server())
        self.measurements.begin(began, f"{self.address.authority}, {monitor.name}")
        self._greenlets = [gevent.spawn(self._measure_lag)]
        if not self.is_worker:
            self.measurements.samples.append(monitor.sample(self.measurements.began, 0, 0))
            self._greenlets.append(gevent.spawn(self._sample, monitor))

    def on_test_stopping(self, **_: Any) -> None:
        """In the master or the only process: the users are about to stop."""
        self.measurements.ended = time.time()
        lasted, planned = self.measurements.ended - self.measurements.began, self.options.run_time or 0
        if self.environment.shape_class is None and lasted < planned - STOP_TOLERANCE:
            self.measurements.problems.append(f"stopped after {lasted:.0f} of {planned} s")

    def _stop_workers(self, runner: MasterRunner) -> None:
        """Collect the last report of each worker. At the end of a test Locust itself does not wait for them."""
        self._awaited = set(self._workers)
        for client in runner.clients.all:
            runner.send_message("stop", client_id=client.id)
        deadline = time.monotonic() + LAST_REPORT_TIMEOUT
        while self._awaited and time.monotonic() < deadline:
            gevent.sleep(0.1)
        if self._awaited:
            self.measurements.problems.append(
                f"{len(self._awaited)} of {len(self._workers)} load generator workers were lost"
            )

    def on_test_stop(self, **_: Any) -> None:
        if isinstance(self.environment.runner, MasterRunner):
            self._stop_workers(self.environment.runner)
        if not self.is_worker:
            gevent.sleep(SETTLE_SECONDS)
        self._kill_greenlets()

    def on_report_to_master(self, client_id: str, data: dict[str, Any]) -> None:
        runner = self.environment.runner
        data[_DELTA_KEY] = msgspec.msgpack.encode(self.measurements.records.take_delta())
        data[_USERS_KEY] = runner.user_count if runner is not None else 0

    def on_worker_report(self, client_id: str, data: dict[str, Any]) -> None:
        if _DELTA_KEY not in data:
            return
        self.measurements.records.merge(msgspec.msgpack.decode(data[_DELTA_KEY], type=RecordsDelta))
        self._workers.add(client_id)
        if not data[_USERS_KEY]:
            self._awaited.discard(client_id)

    # -- internals -----------------------------------------------------------------------------------------------------

    def _find_server(self) -> int | None:
        if self.options.server_pid is not None:
            return int(self.options.server_pid)
        return find_server(self.address.port) if self.address.is_loopback else None

    def _sample(self, monitor: ServerMonitor) -> None:
        while True:
            gevent.sleep(self.measurements.records.interval)
            runner = self.environment.runner
            users = runner.user_count if runner is not None else 0
            self.measurements.samples.append(
                monitor.sample(time.time(), users, self.measurements.records.count(operations.CONNECT))
            )

    def _measure_lag(self) -> None:
        # A master has no users, so its lag affects no latency.
        while not isinstance(self.environment.runner, MasterRunner):
            began = time.perf_counter()
            gevent.sleep(LAG_INTERVAL)
            late = time.perf_counter() - began - LAG_INTERVAL
            self.measurements.records.record_success(operations.LAG, max(0.0, late) * 1e3, time.time())

    def _kill_greenlets(self) -> None:
        gevent.killall(self._greenlets)
        self._greenlets.clear()


def _load_objectives(path: str, default: Path) -> Objectives:
    """Load the objectives from `path`. If it is empty, load `default`, which need not exist."""
    if not path and not default.exists():
        return Objectives()
    return load_objectives(Path(path) if path else default)


def _interval(run_time: int | None) -> float:
    return float(max(1, (run_time or 0) // MAX_INTERVALS))
