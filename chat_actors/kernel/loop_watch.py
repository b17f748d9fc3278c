"""Names the actor whose handler holds the event loop.

Theory of operation. All actors share one thread, so a handler that computes without awaiting stops all others. A
second thread looks at the stack of the loop's thread: frames of the kernel carry the actor and its message, so nothing
is added to the path of a message. The first time that a turn (one call of a handler or hook) is found, a ping is given
to the event loop. Callbacks run in the order in which they were given, so once the turn awaits or returns, the ping is
answered before the turn can continue. Hence a turn that is found again without an answer has held the loop since.

A call that also holds the interpreter's lock (a regular expression, say) stops this thread too. The time by which the
thread wakes late then belongs to the turn that it finds, but no more than the process has computed meanwhile: on a busy
machine, the thread may be late for want of a processor.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple

from chat_actors.kernel.cell import Cell
from chat_actors.kernel.loop import MessageLoop

logger = logging.getLogger(__name__)

LIMIT = 0.1
"""Seconds for which a turn may hold the event loop without a line in the log."""

STUCK = 2.0
"""Seconds after which the line is logged although the turn has not ended."""

ONE_LINE_IN = 60.0
"""Seconds in which at most one line is logged, for all actors together."""

INTERVAL = 0.05
SHORT_INTERVAL = 0.01
"""Seconds between two looks, and once a turn was found twice. The time that is logged is less by up to their sum."""


class Turn(NamedTuple):
    """One call of an actor's handler or hook."""

    frame: FrameType
    path: str
    name: str
    """The type of the message, or the name of the hook."""


# ruff: noqa: SLF001, as the frames that carry a turn are those of private methods
_TURNS: Mapping[CodeType, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    MessageLoop._handle.__code__: lambda names: (names["self"]._cell.path, type(names["message"]).__name__),
    MessageLoop._end_turn.__code__: lambda names: (names["self"]._cell.path, "on_turn_end"),
    Cell.deliver_nowait.__code__: lambda names: (names["self"].path, type(names["message"]).__name__),
    Cell._start.__code__: lambda names: (names["self"].path, "on_start"),
    Cell._call_on_stop.__code__: lambda names: (names["self"].path, "on_stop"),
}


def find_turn(frame: FrameType | None) -> Turn | None:
    """Return the innermost turn on a stack. A delivery in the sender's task is the recipient's turn."""
    while frame is not None:
        describe = _TURNS.get(frame.f_code)
        if describe is not None:
            try:
                return Turn(frame, *describe(frame.f_locals))
            except KeyError:  # the turn has ended while this thread walked the stack
                return None
        frame = frame.f_back
    return None


class _Hold:
    """A turn that was found, with the times of the first and the last look that found it."""

    __slots__ = ("is_answered", "is_logged", "line", "seen", "since", "turn")

    def __init__(self, turn: Turn, since: float, seen: float, line: str) -> None:
        self.turn = turn
        self.since = since
        self.seen = seen
        self.line = line
        self.is_answered = False
        self.is_logged = False

    def answer(self) -> None:
        self.is_answered = True


class LoopWatch:
    """Logs the turns that hold the event loop of the calling thread over 100 ms, at most one a minute.

    Made in the thread of the event loop. As a context manager, it looks from a thread of its own; tests call `check`.

    Args:
        ping: Has the event loop call a function soon, from another thread: `loop.call_soon_threadsafe`.
        clock: A monotonic clock, in seconds.
        processor_clock: The processor time of the process, in seconds.
    """

    def __init__(
        self,
        ping: Callable[[Callable[[], None]], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        processor_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._ping = ping
        self._clock = clock
        self._processor_clock = processor_clock
        self._computed = processor_clock()
        self._loop_thread = threading.get_ident()
        self._due = clock()
        self._hold: _Hold | None = None
        self._unlogged = 0
        self._silent_until = -float("inf")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop watch", daemon=True)

    def __enter__(self) -> LoopWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        wait = INTERVAL
        while not self._stopped.wait(wait):
            try:
                wait = self.check()
            except RuntimeError:  # the event loop is closed
                return

    def check(self) -> float:
        """Look at the loop's thread once. Returns the seconds until the next look."""
        now, hold = self._clock(), self._hold
        computed, self._computed = self._computed, self._processor_clock()
        late = max(0.0, min(now - self._due, self._computed - computed))
        frame = sys._current_frames().get(self._loop_thread)
        turn = find_turn(frame)
        if hold is not None and (hold.is_answered or turn is None or turn.frame is not hold.turn.frame):
            self._judge(hold, now)
            self._hold = hold = None
        wait = INTERVAL
        if turn is not None and frame is not None:
            line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            if hold is None:
                self._hold = hold = _Hold(turn, now - late, now, line)
                self._ping(hold.answer)
            else:
                hold.seen, hold.line, wait = now, line, SHORT_INTERVAL
            if now - hold.since >= STUCK:
                self._judge(hold, now)
        self._due = now + wait
        return wait

    def _judge(self, hold: _Hold, now: float) -> None:
        held = hold.seen - hold.since
        if held < LIMIT or hold.is_logged:
            return
        hold.is_logged = True
        if now < self._silent_until:
            self._unlogged += 1
            return
        more = f"; {self._unlogged} more since the last such line" if self._unlogged else ""
        logger.warning(
            "%s held the event loop for %d ms on %s without awaiting, last in %s%s",
            hold.turn.path,
            round(held * 1000),
            hold.turn.name,
            hold.line,
            more,
        )
        self._unlogged = 0
        self._silent_until = now + ONE_LINE_IN
