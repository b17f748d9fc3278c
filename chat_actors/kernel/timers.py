"""All timers of a system: one heap and one task, however many timers there are."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import anyio


class Timer:
    """A message that is due later. `cancel()` it if it is no longer wanted; a second `cancel()` does nothing."""

    __slots__ = ("_queue", "cancelled", "due", "fire", "interval", "waiting")

    def __init__(self, queue: TimerQueue, due: float, interval: float | None, fire: Callable[[Timer], None]) -> None:
        self._queue = queue
        self.due = due
        self.interval = interval
        self.fire = fire
        self.cancelled = False
        self.waiting = False  # whether the last notice still lies in the mailbox

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            self._queue.forget_one()


class TimerQueue:
    """Fires timers in the order in which they are due; those due at the same time, in the order of their start.

    A task for each timer would cost some 2 kB for each idle connection that has one pending. A cancelled timer is left
    in the heap until it is due or until more than half of the heap is cancelled, so the heap holds at most twice the
    live timers.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._started = 0
        self._cancelled = 0
        self._earlier = anyio.Event()

    def __len__(self) -> int:
        """How many timers are pending."""
        return len(self._heap) - self._cancelled

    def start(self, delay: float, fire: Callable[[Timer], None], *, interval: float | None = None) -> Timer:
        """Call `fire(timer)` in `delay` seconds, then every `interval` seconds (if given) until it is cancelled."""
        timer = Timer(self, anyio.current_time() + max(0.0, delay), interval, fire)
        self._push(timer)
        return timer

    def _push(self, timer: Timer) -> None:
        self._started += 1
        heapq.heappush(self._heap, (timer.due, self._started, timer))
        if self._heap[0][2] is timer:
            self._earlier.set()

    def forget_one(self) -> None:
        """A pending timer was cancelled."""
        self._cancelled += 1
        if self._cancelled > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if not entry[2].cancelled]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Fire what is due, for ever. `fire` must neither block nor raise."""
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
            if timer.cancelled:
                self._cancelled -= 1
                continue
            if timer.interval is None:
                # Fired is as good as cancelled: a late cancel() must not count a timer that has left the heap.
                timer.cancelled = True
            timer.fire(timer)
            if timer.interval is not None and not timer.cancelled:
                # From now on and not from when it was due: after a stall it does not fire in a burst.
                timer.due = now + timer.interval
                self._push(timer)
