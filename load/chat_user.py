"""A Locust user that speaks the protocol: the base of every scenario's users."""

from __future__ import annotations

import logging
import os
import random
import time
from typing import Any

import gevent
from locust import User, task
from locust.env import Environment

from chat_actors.client import Backoff, Refused
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
"""Seconds until a user goes on that has itself failed, so that it does not do so for ever at full speed."""

NO_RETRY_PAUSE = 30.0
"""Seconds until a user comes back whom the server has told not to."""

_PROCESS = os.urandom(4).hex()  # no two runs, and no two processes of one, may take each other's users


class ChatUser(User):
    """Somebody who is logged in. A scenario's user says in `on_login` what it does on each new connection, and in `act`
    what it does then, again and again; whatever the server says or does wrong is reported, and the user comes back.

    One greenlet for each user: it hears only while it listens or waits for an answer, so it may not simply sleep.
    """

    abstract = True

    measures_deliveries = True
    """Whether it is to be measured how late this user hears what others say."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.load_run = run_of(environment)
        self.number = self.load_run.next_number()
        self.worker = max(0, getattr(environment.runner, "worker_index", 0))
        self.user_id = f"load-{_process(self.worker)}-{self.number}"
        self.key = self.load_run.key(self.number)
        self.checker = DeliveryChecker()
        self.stamper = MessageStamper(self.user_id)
        self.random = random.Random(self.user_id)  # noqa: S311 - chooses what to do, and nobody's key
        self._connection: ChatConnection | None = None
        self._is_prepared = False
        self._backoff = Backoff(self.random.random)

    # -- for scenarios -------------------------------------------------------------------------------------------------

    @property
    def options(self) -> Any:
        """What the scenario was started with."""
        return self.load_run.options

    @property
    def connection(self) -> ChatConnection:
        """The connection, within `on_login` and `act`."""
        if self._connection is None:
            raise RuntimeError("there is a line within enter() and act() alone")
        return self._connection

    @property
    def is_connected(self) -> bool:
        """Whether there is a line."""
        return self._connection is not None

    def on_login(self) -> None:
        """On each new connection, once the user is logged in: into a room, for example."""

    def act(self) -> None:
        """One turn. It has to listen, or to ask for something."""
        self.connection.listen(1.0)

    def open_socket(self) -> WebSocket:
        """A new connection; over HTTP/1.1 unless a scenario does otherwise."""
        return WebSocket.open(self.load_run.address, CONNECT_TIMEOUT)

    def think_time(self) -> float:
        """Seconds until this user says something again: at random, on average as often as the options want."""
        return self.random.expovariate(1.0 / self.options.say_every)

    def report_success(self, name: str, ms: float) -> None:
        """Report an exchange of so many milliseconds."""
        if name == operations.DELIVERY and not self.measures_deliveries:
            return
        self.environment.events.request.fire(
            request_type=REQUEST_TYPE, name=name, response_time=ms, response_length=0, exception=None, context={}
        )

    def report_failure(self, name: str, error: Exception) -> None:
        """Report an exchange that failed."""
        self.environment.events.request.fire(
            request_type=REQUEST_TYPE, name=name, response_time=0, response_length=0, exception=error, context={}
        )

    def disconnect(self, *, clean: bool) -> None:
        """Go offline, with a close frame or as a line that breaks; the next turn comes back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if clean:
                connection.close()
            else:
                connection.abort()

    # -- as Locust calls it --------------------------------------------------------------------------------------------

    @task
    def iterate(self) -> None:
        """Come online if need be, then act."""
        try:
            if self._connection is None:
                self._connect()
            if not self._is_prepared:
                self.on_login()
                self._is_prepared = True
            self.act()
        except Closed as end:
            self.report_failure(operations.closed(end.code), end)
            self.disconnect(clean=False)
            self._sleep(self._backoff.pause_after(end.code, end.reason))
        except (ResponseTimeout, Refused, Unreachable, UpgradeRefused):
            self.disconnect(clean=False)  # it has been reported
            self._sleep(self._backoff.next_pause())
        except (CommandRefused, ProtocolViolation):
            self._listen_or_sleep(self._backoff.next_pause())  # as well
        except Exception as error:
            logger.exception("a user of the scenario failed")
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
        except Closed as end:
            self.report_failure(operations.closed(end.code), end)
            self.disconnect(clean=False)

    def _sleep(self, seconds: float | None) -> None:
        gevent.sleep(NO_RETRY_PAUSE if seconds is None else seconds)


def _process(worker: int) -> str:
    return f"{_PROCESS}{worker:02d}"
