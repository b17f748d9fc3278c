"""The Locust user from which each scenario derives its users."""

from __future__ import annotations

import logging
import os
import random
import time
from typing import Any

import gevent
from locust import User, task
from locust.env import Environment

from chat_actors.client import AccessRefused, Backoff
from load import operations
from load.chat_connection import ChatConnection
from load.delivery_checks import DeliveryChecker, MessageStamper
from load.outcomes import CommandRefused, ProtocolViolation, ResponseTimeout
from load.plugin import run_of
from load.wire import Closed, Unreachable, UpgradeRefused, WebSocket

logger = logging.getLogger(__name__)

REQUEST_TYPE = "chat"
CONNECT_TIMEOUT = 30.0
CRASH_PAUSE = 1.0
"""Seconds before a user whose own code raised tries again, so that a bug does not become a busy loop."""

NO_RETRY_PAUSE = 30.0
"""Seconds before a user reconnects after a close code that means "do not reconnect"."""

_PROCESS = os.urandom(4).hex()  # keeps user ids unique across test runs and load processes


class ChatUser(User):
    """A virtual user that connects, logs in, and reconnects after failures.

    A scenario overrides `on_login`, called on each new connection, and `act`, called repeatedly after it. Errors and
    unexpected closes are reported as failures. Each user is one greenlet and receives only while it listens or waits
    for a response, so `act` must listen instead of sleeping.
    """

    abstract = True

    measures_deliveries = True
    """Whether this user reports the latency of the messages that it receives."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.load_run = run_of(environment)
        self.number = self.load_run.next_number()
        self.worker = max(0, getattr(environment.runner, "worker_index", 0))
        self.user_id = f"load-{_process_id(self.worker)}-{self.number}"
        self.key = self.load_run.key(self.number)
        self.checker = DeliveryChecker()
        self.stamper = MessageStamper(self.user_id)
        self.random = random.Random(self.user_id)  # noqa: S311 - chooses actions, not keys
        self._connection: ChatConnection | None = None
        self._is_prepared = False
        self._backoff = Backoff(self.random.random)

    # -- for scenarios -------------------------------------------------------------------------------------------------

    @property
    def options(self) -> Any:
        """The command line options of Locust and of the scenario."""
        return self.load_run.options

    @property
    def connection(self) -> ChatConnection:
        """The open connection. Available in `on_login` and `act`."""
        if self._connection is None:
            raise RuntimeError("connection is available in on_login() and act() only")
        return self._connection

    @property
    def is_connected(self) -> bool:
        """Whether the user has a connection."""
        return self._connection is not None

    def on_login(self) -> None:
        """Called after the login on each new connection, again if it fails. Usually joins a room."""

    def act(self) -> None:
        """One iteration. Must listen or perform an operation, or the user receives nothing."""
        self.connection.listen(1.0)

    def open_socket(self) -> WebSocket:
        """Open a WebSocket over HTTP/1.1. Scenarios may override this."""
        return WebSocket.open(self.load_run.address, CONNECT_TIMEOUT)

    def think_time(self) -> float:
        """Seconds until this user's next message: exponentially distributed with mean `--say-every`."""
        return self.random.expovariate(1.0 / self.options.say_every)

    def report_success(self, name: str, ms: float) -> None:
        """Report that an operation took `ms` milliseconds."""
        if name == operations.DELIVERY and not self.measures_deliveries:
            return
        self.environment.events.request.fire(
            request_type=REQUEST_TYPE, name=name, response_time=ms, response_length=0, exception=None, context={}
        )

    def report_failure(self, name: str, error: Exception) -> None:
        """Report that an operation failed."""
        self.environment.events.request.fire(
            request_type=REQUEST_TYPE, name=name, response_time=0, response_length=0, exception=error, context={}
        )

    def disconnect(self, *, clean: bool) -> None:
        """Disconnect, with a close frame if `clean`. The next iteration reconnects."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if clean:
                connection.close()
            else:
                connection.abort()

    # -- called by Locust ----------------------------------------------------------------------------------------------

    @task
    def iterate(self) -> None:
        """Connect if necessary, then act."""
        try:
            if self._connection is None:
                self._connect()
            if not self._is_prepared:
                self.on_login()
                self._is_prepared = True
            self.act()
        except Closed as close:
            self.report_failure(operations.closed(close.code), close)
            self.disconnect(clean=False)
            self._sleep(self._backoff.pause_after(close.code, close.reason))
        except (ResponseTimeout, AccessRefused, Unreachable, UpgradeRefused):
            self.disconnect(clean=False)  # the operation has reported the failure
            self._sleep(self._backoff.next_pause())
        except (CommandRefused, ProtocolViolation):  # reported as well
            self._listen_or_sleep(self._backoff.next_pause())
        except Exception as error:
            logger.exception("a virtual user raised an exception")
            self.report_failure(operations.CRASH, error)
            self.disconnect(clean=False)
            self._sleep(CRASH_PAUSE)
        else:
            self._backoff.succeeded()

    def on_stop(self) -> None:
        if self._connection is not None:
            self._connection.fail_overdue()
        self.disconnect(clean=True)

    def _connect(self) -> None:
        started = time.perf_counter()
        try:
            socket = self.open_socket()
        except (Unreachable, UpgradeRefused, TimeoutError) as error:
            self.report_failure(operations.CONNECT, error)
            raise ResponseTimeout(CONNECT_TIMEOUT) from None
        self.report_success(operations.CONNECT, (time.perf_counter() - started) * 1e3)
        self._connection = ChatConnection(socket, self.user_id, self.key.private, self, self.checker, self.stamper)
        self._is_prepared = False
        self._connection.log_in()

    def _listen_or_sleep(self, seconds: float) -> None:
        if self._connection is None:
            self._sleep(seconds)
            return
        try:
            self._connection.listen(seconds)
        except Closed as close:
            self.report_failure(operations.closed(close.code), close)
            self.disconnect(clean=False)

    def _sleep(self, seconds: float | None) -> None:
        gevent.sleep(NO_RETRY_PAUSE if seconds is None else seconds)


def _process_id(worker: int) -> str:
    return f"{_PROCESS}{worker:02d}"
