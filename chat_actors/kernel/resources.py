"""The resources that an actor holds: timers, piped work, watches, subscriptions and owed answers.

All of them end with the actor, at `close`. A restart cancels only the timers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import msgspec

from chat_actors.kernel.cancellation import is_cancelled
from chat_actors.kernel.errors import ActorStopped, MailboxFull, WorkCancelled
from chat_actors.kernel.events import DeadLetter, Undelivered
from chat_actors.kernel.messages import Notice, OwedAnswer, Reply, SystemMessage, Tick, failure, outcome
from chat_actors.kernel.ports import CellPort
from chat_actors.kernel.ref import AnyRef, Terminated
from chat_actors.kernel.timers import Timer

Result = TypeVar("Result")


class Resources:
    """The part of a `Context` that the kernel itself uses. Actors use the methods of `Context`."""

    def __init__(self, cell: CellPort) -> None:
        self._cell = cell
        self._watched: set[AnyRef] = set()
        # In the order of their start. Most actors have none, and an empty dict weighs a quarter of an empty set.
        self._timers: dict[Timer, None] = {}
        self._pipes: dict[anyio.CancelScope, None] = {}
        self._owed: dict[OwedAnswer[Any], None] | None = None
        self._listening: dict[type[msgspec.Struct], Callable[[], None]] | None = None
        self.answering: Reply[Any] | None = None
        """The reply to the request being handled, unless `answer_later` has taken it."""

    def take_notice(self, notice: Notice) -> bool:
        """Whether to handle a notice. False if its timer was cancelled, or its actor is no longer watched."""
        match notice:
            case Tick(timer=timer):
                timer.waiting = False
                if timer.interval is None:
                    self._timers.pop(timer, None)
                return not timer.cancelled
            case Notice(message=Terminated(ref=ref)):
                is_watched = ref in self._watched
                self._watched.discard(ref)
                return is_watched
            case _:
                return True

    def forget_timers(self) -> None:
        """Cancel the timers of an incarnation that has ended."""
        for timer in list(self._timers):
            timer.cancel()

    def close(self) -> None:
        """Release everything, since the actor has ended. Owed answers fail with `ActorStopped`."""
        self.forget_timers()
        for scope in list(self._pipes):
            scope.cancel()
        for ref in self._watched:
            ref.remove_watcher(self._cell)
        self._watched.clear()
        for unsubscribe in (self._listening or {}).values():
            unsubscribe()
        for owed in list(self._owed or ()):
            owed.fail(ActorStopped(self._cell.path))

    def _receive_event(self, event: msgspec.Struct) -> None:
        try:
            self._cell.mailbox.put_nowait(event)
        except MailboxFull:
            if not isinstance(event, DeadLetter):
                self._cell.dead_letter(event, Undelivered.FULL)
        except ActorStopped:
            pass  # it is ending, and `close` is about to unsubscribe it

    def _start_timer(self, delay: float, message: Any, interval: float | None) -> Timer:
        def fire(timer: Timer) -> None:
            if not timer.waiting:
                timer.waiting = True
                self._cell.mailbox.put_system(Tick(message, timer))

        timer = self._cell.system.timers.start(delay, fire, interval=interval, on_cancel=self._forget_timer)
        if self._cell.mailbox.is_closed:
            timer.cancel()  # `close` may have run already
        else:
            self._timers[timer] = None
        return timer

    def _forget_timer(self, timer: Timer) -> None:
        self._timers.pop(timer, None)

    def _start_work(
        self,
        work: Callable[[], Awaitable[Result]],
        into: Callable[[Result], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        if self._cell.mailbox.is_closed:
            return
        scope = anyio.CancelScope()
        self._pipes[scope] = None

        async def run() -> None:
            with scope:
                try:
                    notice = await self._run_work(work, into, failed)
                finally:
                    self._pipes.pop(scope, None)
                self._cell.mailbox.put_system(notice)

        self._cell.system.start_task(run)

    async def _run_work(
        self,
        work: Callable[[], Awaitable[Result]],
        into: Callable[[Result], Any],
        failed: Callable[[Exception], Any],
    ) -> SystemMessage:
        try:
            result = await work()
        except Exception as error:
            return failure(error, failed)
        except anyio.get_cancelled_exc_class():
            if is_cancelled():
                raise
            return failure(WorkCancelled(self._cell.path), failed)
        return outcome(lambda: into(result), failed)
