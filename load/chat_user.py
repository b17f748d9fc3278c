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
from load import exchanges
from load.chat_line import ChatLine, NoAnswer, Rejected, Wrong
from load.deliveries import Listener, Marker
from load.plugin import run_of
from load.wire import Closed, NotAccepted, Unreachable, WebSocket

logger = logging.getLogger(__name__)

REQUEST_TYPE = "chat"
CONNECT_WITHIN = 30.0
CRASH_PAUSE = 1.0
"""Seconds until a user goes on that has itself failed, so that it does not do so for ever at full speed."""

LONG_PAUSE = 30.0
"""Seconds until a user comes back whom the server has told not to."""

_PROCESS = os.urandom(4).hex()  # no two runs, and no two processes of one, may take each other's users


class ChatUser(User):
    """Somebody who is logged in. A scenario's user says in `enter` what it does on each new connection, and in `act`
    what it does then, again and again; whatever the server says or does wrong is reported, and the user comes back.

    One greenlet for each user: it hears only while it listens or waits for an answer, so it may not simply sleep.
    """

    abstract = True

    times_deliveries = True
    """Whether it is to be measured how late this user hears what others say."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.load_run = run_of(environment)
        self.number = self.load_run.next_number()
        self.worker = max(0, getattr(environment.runner, "worker_index", 0))
        self.user_id = f"load-{_process(self.worker)}-{self.number}"
        self.key = self.load_run.key(self.number)
        self.listener = Listener()
        self.marker = Marker(self.user_id)
        self.random = random.Random(self.user_id)  # noqa: S311 - chooses what to do, and nobody's key
        self._line: ChatLine | None = None
        self._has_entered = False
        self._backoff = Backoff(self.random.random)

    # -- for scenarios -------------------------------------------------------------------------------------------------

    @property
    def options(self) -> Any:
        """What the scenario was started with."""
        return self.load_run.options

    @property
    def line(self) -> ChatLine:
        """The connection, within `enter` and `act`."""
        if self._line is None:
            raise RuntimeError("there is a line within enter() and act() alone")
        return self._line

    @property
    def is_online(self) -> bool:
        """Whether there is a line."""
        return self._line is not None

    def enter(self) -> None:
        """On each new connection, once the user is logged in: into a room, for example."""

    def act(self) -> None:
        """One turn. It has to listen, or to ask for something."""
        self.line.listen(1.0)

    def open_socket(self) -> WebSocket:
        """A new connection; over HTTP/1.1 unless a scenario does otherwise."""
        return WebSocket.open(self.load_run.address, CONNECT_WITHIN)

    def pause(self) -> float:
        """Seconds until this user says something again: at random, on average as often as the options want."""
        return self.random.expovariate(1.0 / self.options.say_every)

    def done(self, name: str, ms: float) -> None:
        """Report an exchange of so many milliseconds."""
        if name == exchanges.DELIVERY and not self.times_deliveries:
            return
        self.environment.events.request.fire(
            request_type=REQUEST_TYPE, name=name, response_time=ms, response_length=0, exception=None, context={}
        )

    def failed(self, name: str, error: Exception) -> None:
        """Report an exchange that failed."""
        self.environment.events.request.fire(
            request_type=REQUEST_TYPE, name=name, response_time=0, response_length=0, exception=error, context={}
        )

    def leave_line(self, *, with_a_word: bool) -> None:
        """Go offline, with a close frame or as a line that breaks; the next turn comes back."""
        line, self._line = self._line, None
        if line is not None:
            if with_a_word:
                line.close()
            else:
                line.drop()

    # -- as Locust calls it --------------------------------------------------------------------------------------------

    @task
    def turn(self) -> None:
        """Come online if need be, then act."""
        try:
            if self._line is None:
                self._come_online()
            if not self._has_entered:
                self.enter()
                self._has_entered = True
            self.act()
        except Closed as end:
            self.failed(exchanges.closed(end.code), end)
            self.leave_line(with_a_word=False)
            self._sleep(self._backoff.pause_after(end.code, end.reason))
        except (NoAnswer, Refused, Unreachable, NotAccepted):
            self.leave_line(with_a_word=False)  # it has been reported
            self._sleep(self._backoff.next_pause())
        except (Rejected, Wrong):
            self._listen_or_sleep(self._backoff.next_pause())  # as well
        except Exception as error:
            logger.exception("a user of the scenario failed")
            self.failed(exchanges.CRASH, error)
            self.leave_line(with_a_word=False)
            self._sleep(CRASH_PAUSE)
        else:
            self._backoff.succeeded()

    def on_stop(self) -> None:
        if self._line is not None:
            self._line.give_up()
        self.leave_line(with_a_word=True)

    def _come_online(self) -> None:
        began = time.perf_counter()
        try:
            socket = self.open_socket()
        except (Unreachable, NotAccepted, TimeoutError) as error:
            self.failed(exchanges.CONNECT, error)
            raise NoAnswer(CONNECT_WITHIN) from None
        self.done(exchanges.CONNECT, (time.perf_counter() - began) * 1e3)
        self._line = ChatLine(socket, self.user_id, self.key.private, self, self.listener, self.marker)
        self._has_entered = False
        self._line.log_in()

    def _listen_or_sleep(self, seconds: float) -> None:
        if self._line is None:
            self._sleep(seconds)
            return
        try:
            self._line.listen(seconds)
        except Closed as end:
            self.failed(exchanges.closed(end.code), end)
            self.leave_line(with_a_word=False)

    def _sleep(self, seconds: float | None) -> None:
        gevent.sleep(LONG_PAUSE if seconds is None else seconds)


def _process(worker: int) -> str:
    return f"{_PROCESS}{worker:02d}"
