"""All timers of a system, in one heap and one task."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import anyio

SHORTEST_INTERVAL = 0.001
"""Shortest interval of a repeating timer, in seconds. One of 0 would fire forever in one turn of the event loop."""


class Timer:
    """A message that an actor receives later, once or repeatedly. Made by `Context.after` and `Context.every`."""

    __slots__ = ("_on_cancel", "_queue", "cancelled", "due", "fire", "interval", "pending", "waiting")

    def __init__(
        self,
        queue: TimerQueue,
        due: float,
        interval: float | None,
        fire: Callable[[Timer], None],
        on_cancel: Callable[[Timer], None],
    ) -> None:
        self._queue = queue
        self._on_cancel = on_cancel
        self.due = due
        self.interval = interval
        self.fire = fire
        self.cancelled = False
        self.pending = False  # whether it is in the queue
        self.waiting = False  # whether its last notice waits in the mailbox

    def cancel(self) -> None:
        """Cancel the timer. Its message is dropped even if it waits in the mailbox. A second call does nothing."""
        if not self.cancelled:
            self.cancelled = True
            self._on_cancel(self)
            if self.pending:
                self._queue.forget_one()


class TimerQueue:
    """Fires timers in the order in which they are due; those due at the same time, in the order of their start.

    A task for each timer would take about 2 kB for each idle connection with a pending timer. A cancelled timer stays
    in the heap until it is due, or until more than half of the heap is cancelled. So the heap holds at most twice the
    pending timers, of which there is no maximum here.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._started = 0
        self._cancelled = 0
        self._earlier = anyio.Event()

    def __len__(self) -> int:
        """Number of pending timers."""
        return len(self._heap) - self._cancelled

    def start(
        self,
        delay: float,
        fire: Callable[[Timer], None],
        *,
        interval: float | None = None,
        on_cancel: Callable[[Timer], None] = lambda timer: None,
    ) -> Timer:
        """Call `fire(timer)` in `delay` seconds, then every `interval` seconds (if given), until it is cancelled.

        `on_cancel(timer)` is called once if it is cancelled. Raises `ValueError` if the interval is under
        `SHORTEST_INTERVAL`.
        """
        if interval is not None and not interval >= SHORTEST_INTERVAL:
            raise ValueError(f"a timer cannot repeat every {interval:g} s; the shortest is {SHORTEST_INTERVAL:g} s")
        timer = Timer(self, anyio.current_time() + max(0.0, delay), interval, fire, on_cancel)
        self._push(timer)
        return timer

    def _push(self, timer: Timer) -> None:
        timer.pending = True
        self._started += 1
        heapq.heappush(self._heap, (timer.due, self._started, timer))
        if self._heap[0][2] is timer:
            self._earlier.set()

    def forget_one(self) -> None:
        """Count a pending timer as cancelled."""
        self._cancelled += 1
        self._compact()

    def _compact(self) -> None:
        if self._cancelled > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if not entry[2].cancelled]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Fire the timers that are due, forever. `fire` must neither block nor raise."""
        while True:
            self._earlier = anyio.Event()
            if not self._heap:
                await self._earlier.wait()
                continue
            with anyio.move_on_after(self._heap[0][0] - anyio.current_time()):
                await self._earlier.wait()
            self._fire_due(anyio.current_time())

    def _fire_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            timer.pending = False
            if timer.cancelled:
                self._cancelled -= 1
                continue
            if timer.interval is not None:
                # Counted from now, not from when it was due, so that it does not fire in a burst after a stall.
                timer.due = now + timer.interval
                self._push(timer)
            timer.fire(timer)
        self._compact()
