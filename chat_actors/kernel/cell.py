"""One actor as the kernel runs it: its incarnations, and its end.

Theory of operation. An actor is waiting (for the end of its predecessor, the last actor of its path), starting
(`on_start`), running (idle or in a handler), pausing before a restart, ending (its mailbox is closed, its children and
`on_stop` run) or ended. An incarnation is one actor object. A crash ends it: what it collected and its timers are lost;
the cell, ref, mailbox, children, watches and other resources stay. Two actors of one path never run at the same time:
a waiting one has a ref and a mailbox, which accepts messages and a stop order, but none of its code runs.

| call            | effect                                                                                   |
| --------------- | ---------------------------------------------------------------------------------------- |
| `stop`          | Orders the end, behind the waiting messages; then the children end, and `on_stop` runs.  |
| `cancel`        | Ends an actor that missed a deadline: cancels what it does, and `on_stop` does not run.  |
| `close_mailbox` | Begins every end: refuses senders, admits a successor, makes dead letters of what waits. |
| `_finish`       | Concludes every end, without awaiting: cancels remaining children, frees the name.       |
| `context.close` | Part of `_finish`: releases timers, piped work, watches, subscriptions and owed answers. |
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, assert_never

import anyio

from chat_actors.kernel.actor import Actor
from chat_actors.kernel.cancellation import as_failure, is_cancelled
from chat_actors.kernel.context import Context
from chat_actors.kernel.errors import ActorStopped, ChildFailed, NameTaken
from chat_actors.kernel.events import ActorEnded, ActorRestarted, DeadLetter, Undelivered
from chat_actors.kernel.family import Family
from chat_actors.kernel.hooks import call_hook
from chat_actors.kernel.loop import Crash, MessageLoop
from chat_actors.kernel.mailbox import Mailbox
from chat_actors.kernel.messages import Asked, Cause, Failure, Notice, StopOrder, StopReason, SystemMessage
from chat_actors.kernel.ports import Factory, SystemPort
from chat_actors.kernel.ref import AnyRef, Ref, RefTarget, Terminated
from chat_actors.kernel.supervision import CrashRecord, Escalate, Pause, Resume, Stop

logger = logging.getLogger(__name__)


class Cell:
    """One actor. A restart replaces the actor object; the cell stays."""

    def __init__(
        self,
        system: SystemPort,
        siblings: Family[Cell],
        parent: Cell | None,
        path: str,
        factory: Factory,
        on_closed: Callable[[], None] | None,
        *,
        has_host: bool,
    ) -> None:
        self.system = system
        self.path = path
        self.actor: Actor[Any] = factory()
        self._loop = MessageLoop(self)
        self.mailbox = Mailbox(path, self.actor.mailbox_capacity)
        self.ref: AnyRef = Ref(path, self)
        self.context = Context(self)
        self.family: Family[Cell] = Family()
        self.watchers: set[RefTarget] = set()
        self.restarts = 0
        self.is_idle = False
        """Whether no code of the actor runs: its loop waits for a message, or it has ended."""
        self._siblings = siblings
        self._parent = parent
        self._factory = factory
        self._on_closed = on_closed
        self._has_host = has_host  # whether a task runs it, or will
        self._crashes = CrashRecord()
        self._scope = anyio.CancelScope()
        self._reason: StopReason | None = None
        self._is_stop_ordered = False
        # An event takes 900 bytes, and most actors need neither, so each is made for its first waiter.
        self._stop_ordered: anyio.Event | None = None
        self._ended: anyio.Event | None = None

    # -- incarnations ------------------------------------------------------------------------------------------------

    async def run(self, predecessor: Cell | None = None) -> None:
        """Run the actor to its end, in a task of the system, once its predecessor has ended."""
        try:
            await self._run_and_end(predecessor)
        except anyio.get_cancelled_exc_class():
            if is_cancelled():
                raise
            # If it propagated, the system's task group would cancel all actors.
            logger.error("%s ends: it was cancelled, and not by the kernel", self.path)

    async def run_hosted(self) -> None:
        """Run the actor to its end, in the caller's task. A cancellation of that task propagates."""
        self._has_host = True
        if self._reason is None:
            await self._run_and_end(None)

    async def _run_and_end(self, predecessor: Cell | None) -> None:
        reason = StopReason(Cause.CANCELLED)
        try:
            with self._scope:
                if predecessor is not None:
                    await predecessor.wait_ended()
                reason = await self._run_incarnations()
                self.close_mailbox()
                await self._stop_children()
                await self._call_on_stop(reason)
        finally:
            self._finish(reason)

    async def _run_incarnations(self) -> StopReason:
        begin = self._start
        while True:
            try:
                await begin()
                return await self._loop.run()
            except Crash as crash:
                error = crash.error
                self._loop.report(crash)
                if self.mailbox.is_closed:  # it crashed after stop_if_idle()
                    return StopReason(Cause.FAILED, error)
                verdict = self._crashes.judge(self.actor.supervision, anyio.current_time())
                match verdict:
                    case Resume() if not crash.while_starting:
                        begin = self._resume
                    case Pause(seconds=seconds):
                        if await self._stop_ordered_within(seconds):
                            return StopReason(Cause.FAILED, error)
                        begin = self._restart
                    case Stop() | Resume():
                        return StopReason(Cause.FAILED, error)
                    case Escalate():
                        self._escalate(error)
                        return StopReason(Cause.FAILED, error)
                    case _:
                        assert_never(verdict)

    async def _start(self) -> None:
        self.actor.context = self.context
        try:
            self.actor.on_incarnation()
            await call_hook(self.actor.on_start)
        except Exception as error:
            raise Crash([], error, while_starting=True) from error

    async def _resume(self) -> None:
        """Nothing to begin: the same object handles the next message."""

    async def _restart(self) -> None:
        self.context.forget_timers()
        try:
            self.actor = self._factory()
        except Exception as error:
            raise Crash([], error, while_starting=True) from error
        await self._start()
        self.restarts += 1
        self.system.count_restart()
        self.system.events.publish(ActorRestarted(self.path, self.restarts))

    async def _stop_ordered_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            if not self._is_stop_ordered:
                self._stop_ordered = anyio.Event()
                await self._stop_ordered.wait()
        return self._is_stop_ordered

    def _escalate(self, error: Exception) -> None:
        if self._parent is None:
            self.system.fail(self.path, error)
        else:
            failure = ChildFailed(self.path)
            failure.__cause__ = error
            self._parent.mailbox.put_system(Failure(failure))

    def deliver_nowait(self, message: Any) -> bool:
        """See `Ref.deliver_nowait`."""
        if not self.is_idle or len(self.mailbox) or self.mailbox.is_closed or not self.mailbox.has_free_slot:
            return False
        try:
            self.actor.on_delivery(message)
        except BaseException as error:
            self.mailbox.put_system(Failure(as_failure(error), (message,)))
        return True

    def dead_letter(self, message: Any, why: Undelivered) -> None:
        """Count and publish a message that was not handled."""
        self.system.count_dead_letter(DeadLetter(self.path, message, why))

    # -- the end -----------------------------------------------------------------------------------------------------

    def stop(self, reason: StopReason | None = None) -> None:
        """Queue a stop order behind the waiting messages. A second call does nothing."""
        if self._is_stop_ordered:
            return
        self._is_stop_ordered = True
        if self._stop_ordered is not None:
            self._stop_ordered.set()
        reason = reason or StopReason(Cause.STOPPED)
        if self._has_host:
            self.mailbox.put_system(StopOrder(reason))
        else:  # no task would take the order out of the mailbox
            self._finish(reason)

    def close_mailbox(self) -> None:
        """Refuse senders with `ActorStopped`, admit a successor, and make dead letters of the waiting messages."""
        if self.mailbox.is_closed:
            return
        remaining = self.mailbox.close()
        self._siblings.move_to_ending(self)
        if self._on_closed is not None:
            self._on_closed()
        for item in remaining:
            match item:
                case Asked(request=request, reply=reply):
                    reply.fail(ActorStopped(self.path))
                    self.dead_letter(request, Undelivered.STOPPED)
                case SystemMessage():
                    pass
                case _:
                    self.dead_letter(item, Undelivered.STOPPED)

    async def _stop_children(self) -> None:
        children = self.family.with_ending()
        for child in reversed(children):
            child.stop()
        with anyio.move_on_after(self.actor.stop_within):
            for child in children:
                await child.wait_ended()
        self.system.count_cancelled(cell.path for cell in self.family.walk())
        late = self.family.with_ending()
        for child in late:
            logger.warning("%s did not stop within %g s and is cancelled", child.path, self.actor.stop_within)
            child.cancel()
        for child in late:
            await child.wait_ended()

    def cancel(self) -> None:
        """Cancel the actor, whatever it is doing. `on_stop` does not run."""
        if self._has_host:
            self._scope.cancel()
        else:
            self._finish(StopReason(Cause.CANCELLED))

    async def _call_on_stop(self, reason: StopReason) -> None:
        with anyio.move_on_after(self.actor.stop_within, shield=True) as deadline:
            try:
                await call_hook(self.actor.on_stop, reason)
            except Exception as error:
                self._loop.report(Crash([], error))
        if deadline.cancelled_caught:
            logger.warning("the on_stop of %s took over %g s and was cut short", self.path, self.actor.stop_within)

    def _finish(self, reason: StopReason) -> None:
        """Conclude the end. Does not await, so that a cancelled actor finishes too."""
        if self._reason is not None:
            return
        self.close_mailbox()
        for child in self.family.with_ending():  # there are some only if this actor was cancelled
            child.cancel()
        self._reason = reason
        self.is_idle = True
        self.context.close()
        for watcher in self.watchers:
            watcher.mailbox.put_system(Notice(Terminated(self.ref, reason)))
        self.watchers.clear()
        self._siblings.remove(self)
        self.system.events.publish(ActorEnded(self.path, reason))
        if self._ended is not None:
            self._ended.set()

    async def wait_ended(self) -> None:
        if self._reason is None:
            if self._ended is None:
                self._ended = anyio.Event()
            await self._ended.wait()

    def add_watcher(self, watcher: RefTarget) -> None:
        """Notify `watcher` when this actor ends; at once if it has ended."""
        if self._reason is not None:
            watcher.mailbox.put_system(Notice(Terminated(self.ref, self._reason)))
        else:
            self.watchers.add(watcher)

    def remove_watcher(self, watcher: RefTarget) -> None:
        self.watchers.discard(watcher)

    # -- children ----------------------------------------------------------------------------------------------------

    def children(self) -> list[AnyRef]:
        return [child.ref for child in self.family]

    def spawn_child(self, name: str, factory: Factory, *, on_closed: Callable[[], None] | None = None) -> AnyRef:
        """Start a child. `on_closed` is called once, when the child begins to end. Raises as `Context.spawn_named`."""
        return self._make_child(name, factory, on_closed, is_hosted=False).ref

    def spawn_hosted_child(self, name: str, factory: Factory) -> Cell:
        """Make a child that the caller runs by `run_hosted`. Raises as `Context.spawn_named`."""
        return self._make_child(name, factory, None, is_hosted=True)

    def _make_child(
        self, name: str, factory: Factory, on_closed: Callable[[], None] | None, *, is_hosted: bool
    ) -> Cell:
        if self.mailbox.is_closed:
            raise ActorStopped(self.path)
        path = f"{self.path}/{name}"
        return start(self.system, self.family, self, path, factory, on_closed, is_hosted=is_hosted)


def start(
    system: SystemPort,
    siblings: Family[Cell],
    parent: Cell | None,
    path: str,
    factory: Factory,
    on_closed: Callable[[], None] | None = None,
    *,
    is_hosted: bool = False,
) -> Cell:
    """Start an actor, or make one that is hosted. Raises `NameTaken`, or `ActorStopped` if the system does not run.

    If an actor of this path is ending, the new one waits for its end. One that is hosted cannot.
    """
    predecessor = siblings.ending(path)
    if path in siblings or (is_hosted and predecessor is not None):
        raise NameTaken(path)
    if not system.is_running:
        raise ActorStopped(path)
    cell = Cell(system, siblings, parent, path, factory, on_closed, has_host=not is_hosted)
    siblings.add(cell)
    if not is_hosted:
        system.start_task(cell.run if predecessor is None else partial(cell.run, predecessor), path)
    return cell
