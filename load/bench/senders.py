"""Senders of messages: closed loop (a window of messages in flight) and open loop (a fixed rate)."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Sequence

from load.bench.connection import Connection
from load.bench.counting import sender_marker
from load.bench.dialects import Dialect
from load.bench.frames import client_frame

CONTENT_CHARS = 64
"""Length of a message's content: the sender's marker (14), the time (19) and padding."""

_SENT_AT = re.compile(rb"\[bench:from\d\d\](\d{19})")


def content(number: int, sent_ns: int, chars: int = CONTENT_CHARS) -> str:
    """The content of a sender's message; the send time is in nanoseconds of `time.perf_counter_ns`."""
    return f"{sender_marker(number).decode()}{sent_ns:019d}".ljust(chars, ".")


def sent_at(text: bytes) -> int | None:
    """The send time of a message, or None if no sender sent it."""
    found = _SENT_AT.search(text)
    return int(found[1]) if found else None


class ClosedLoop:
    """A sender that keeps `window` messages in flight: each of its messages that returns triggers the next one."""

    def __init__(self, connection: Connection, dialect: Dialect, number: int, window: int) -> None:
        self._connection = connection
        self._frame = client_frame(dialect.message_text(content(number, 0)))
        self._window = window
        self.sent = 0
        self._is_stopped = False
        connection.tally.own_marker = sender_marker(number)
        connection.on_echo = self._on_echo

    def start(self) -> None:
        self._send(self._window)

    def stop(self) -> None:
        self._is_stopped = True

    def _on_echo(self, count: int) -> None:
        if not self._is_stopped:
            self._send(count)

    def _send(self, count: int) -> None:
        self.sent += count
        self._connection.send(self._frame * count)


class OpenLoop:
    """Sends at a fixed rate, the senders taking turns. Pass it as the timer of `LoadGenerator.run`."""

    def __init__(
        self, senders: Sequence[Connection], dialect: Dialect, per_second: float, chars: int = CONTENT_CHARS
    ) -> None:
        self._senders = itertools.cycle(list(enumerate(senders)))
        self._dialect = dialect
        self._interval = 1 / per_second
        self._chars = chars
        self._next = time.perf_counter()
        self.sent = 0

    def __call__(self) -> float:
        now = time.perf_counter()
        while self._next <= now:
            self._next += self._interval
            if self._next < now - 1.0:
                self._next = now  # after a delay of over 1 s, skip messages instead of sending a burst
            number, sender = next(self._senders)
            text = self._dialect.message_text(content(number, time.perf_counter_ns(), self._chars))
            sender.send(client_frame(text))
            self.sent += 1
        return self._next - time.perf_counter()


class LatencyRecorder:
    """Records the latencies, in seconds, of the messages that watched connections receive."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.is_on = False

    def __call__(self, text: bytes) -> None:
        if self.is_on and (sent_ns := sent_at(text)) is not None:
            self.seconds.append((time.perf_counter_ns() - sent_ns) / 1e9)
