"""What an actor can do, and what it holds open: its children, the actors it watches, its timers, its slow work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import anyio
import msgspec

from chat_actors.kernel.cancellation import is_cancelled
from chat_actors.kernel.errors import ActorStopped, MailboxFull, WorkCancelled
from chat_actors.kernel.events import DeadLetter, EventBus, Undelivered
from chat_actors.kernel.hosted import Hosted
from chat_actors.kernel.messages import (
    Asked,
    Cause,
    Notice,
    OwedAnswer,
    Reply,
    Request,
    StopReason,
    SystemMessage,
    Tick,
    ToldReply,
    failure,
    outcome,
)
from chat_actors.kernel.ports import ActorObject, CellPort
from chat_actors.kernel.ref import ActorType, AnyRef, Ref, Terminated
from chat_actors.kernel.timers import Timer

Message = TypeVar("Message")
Result = TypeVar("Result")
Answer = TypeVar("Answer")
Params = ParamSpec("Params")


class Context:
    """An actor's own view of the kernel. For the actor itself alone: hand out `self_ref`, never the context."""

    def __init__(self, cell: CellPort) -> None:
        self._cell = cell
        self._spawned = 0
        self._watched: set[AnyRef] = set()
        # In the order of their start. Most actors have none, and an empty dict weighs a quarter of an empty set.
        self._timers: dict[Timer, None] = {}
        self._pipes: dict[anyio.CancelScope, None] = {}
        self._owed: dict[OwedAnswer[Any], None] | None = None
        self._listening: dict[type[msgspec.Struct], Callable[[], None]] | None = None
        self.answering: Reply[Any] | None = None
        """For the kernel: where the answer to the request in hand goes, unless the actor has taken that upon itself."""

    @property
    def self_ref(self) -> AnyRef:
        """The actor's own address; the same over restarts."""
        return self._cell.ref

    @property
    def events(self) -> EventBus:
        """The event bus of the system."""
        return self._cell.system.events

    @property
    def children(self) -> Sequence[AnyRef]:
        """The running children, oldest first. They outlive a restart of this actor."""
        return self._cell.children()

    # -- other actors ------------------------------------------------------------------------------------------------

    def spawn(
        self, factory: Callable[Params, ActorObject[Message]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Ref[Message]:
        """Start a child made by `factory(*args, **kwargs)`, under a name of the kernel's choice.

        At once: messages sent to the ref before the child has started wait in its mailbox. What the factory raises is
        raised here. The child ends with this actor at the latest. Raises `ActorStopped` if this actor is ending.
        """
        return self._cell.spawn_child(self._child_name(factory), lambda: factory(*args, **kwargs))

    def _child_name(self, factory: Callable[..., Any]) -> str:
        self._spawned += 1
        prefix = getattr(factory, "__name__", "actor").lower().removesuffix("actor") or "actor"
        return f"{prefix}-{self._spawned}"

    def spawn_named(
        self, name: str, factory: Callable[Params, ActorObject[Message]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Ref[Message]:
        """As `spawn`, under this name. Raises `NameTaken` as well."""
        return self._cell.spawn_child(name, lambda: factory(*args, **kwargs))

    def spawn_hosted(
        self, factory: Callable[Params, ActorObject[Message]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Hosted[Message]:
        """As `spawn`, but the child lives in the task of whoever awaits its `run()`: it needs no task of its own.

        For an actor that serves one connection, in whose task it can live. Until it runs, messages wait; if it is
        stopped before, it ends without having lived: neither `on_start` nor `on_stop` is called.
        """
        cell = self._cell.spawn_hosted_child(self._child_name(factory), lambda: factory(*args, **kwargs))
        return Hosted(cell)

    def declare(
        self, actor_type: ActorType[Message], make: Callable[[str], Callable[[], ActorObject[Message]]]
    ) -> None:
        """Become the parent of all actors of this type.

        `make(key)` is called once for each actor; what it returns is called for each of that actor's lives, so what it
        closes over outlives a crash.
        """
        self._cell.system.declare(actor_type, self._cell, make)

    def get_or_spawn(self, actor_type: ActorType[Message], key: str) -> Ref[Message]:
        """The running actor of that type and key, or a new one. Atomic: there are never two.

        The actor may have ended by the time a message reaches it: a sender that gets `ActorStopped` asks again. Raises
        `UnknownActorType`, or `ActorStopped` if the parent of that type is ending.
        """
        return self._cell.system.get_or_spawn(actor_type, key)

    def find(self, actor_type: ActorType[Message], key: str) -> Ref[Message] | None:
        """The running actor of that type and key, if there is one."""
        return self._cell.system.find(actor_type, key)

    def watch(self, ref: AnyRef) -> None:
        """Be told `Terminated(ref, reason)`, once, when that actor ends; at once if it already has.

        Outlives a restart of this actor. Nothing happens once this actor is ending.
        """
        if ref not in self._watched and not self._cell.mailbox.is_closed:
            self._watched.add(ref)
            ref.add_watcher(self._cell)

    def unwatch(self, ref: AnyRef) -> None:
        """No longer be told, not even if the notice is already waiting."""
        self._watched.discard(ref)
        ref.remove_watcher(self._cell)

    def listen(self, event_type: type[msgspec.Struct]) -> None:
        """Be told each event of this class that is published on the bus, as a message like any other. Once is enough.

        Outlives a restart, and ends with this actor. An event for which the mailbox has no room is a dead letter (but
        for those about dead letters, of which there would be no end).
        """
        if self._listening is None:
            self._listening = {}
        if event_type not in self._listening and not self._cell.mailbox.is_closed:
            self._listening[event_type] = self.events.listen(event_type, self._hear)

    def _hear(self, event: msgspec.Struct) -> None:
        try:
            self._cell.mailbox.put_nowait(event)
        except MailboxFull:
            if not isinstance(event, DeadLetter):
                self._cell.dead_letter(event, Undelivered.FULL)
        except ActorStopped:
            pass  # it has ended, and hears no more in a moment

    def take_notice(self, notice: Notice) -> bool:
        """For the kernel: whether a notice is still wanted. Not so a cancelled timer, or an actor no longer watched."""
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

    # -- requests that take their time -------------------------------------------------------------------------------

    def ask_into(
        self,
        ref: Ref[Any],
        request: Request[Answer],
        *,
        into: Callable[[Answer], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        """Ask without waiting: `into(answer)` or `failed(error)` is then told to this actor, by the system lane.

        The errors are those of `Ref.ask`, but for the timeout: there is none, and so no task is needed. Raises
        `MailboxFull` or `ActorStopped` if the request could not be queued. Outlives a restart of this actor.
        """
        ref.send_nowait(Asked(request, ToldReply(self._cell.mailbox.put_system, into, failed)))

    def answer_later(self) -> OwedAnswer[Any]:
        """Take it upon this actor to answer the request in hand later; what its handler returns is then dropped.

        Outlives a restart of this actor, if it is kept in something that does. What is still owed when the actor ends
        fails with `ActorStopped`: never silence. For a message that was told, an answer that nobody waits for.
        """
        if self._owed is None:
            self._owed = {}
        reply, self.answering = self.answering or Reply(), None
        return OwedAnswer(reply, self._owed)

    def reserve_slots(self, slots: int) -> None:
        """Count so many places in the mailbox as taken, by messages that were taken out and are not done with.

        So what the actor piles up for later is bounded by `mailbox_capacity`, together with what waits. Outlives
        a restart: so must what is held for.
        """
        self._cell.mailbox.reserve(slots)

    def release_slots(self, slots: int) -> None:
        """Give places back that were held."""
        self._cell.mailbox.release(slots)

    # -- time and slow work ------------------------------------------------------------------------------------------

    def after(self, delay: float, message: Any) -> Timer:
        """Tell this actor `message` in `delay` seconds, by the system lane. A restart or the end cancels it."""
        return self._start_timer(delay, message, None)

    def every(self, interval: float, message: Any) -> Timer:
        """Tell this actor `message` every `interval` seconds; while one waits unhandled, none is added.

        Cancelled when the actor restarts or ends. Raises `ValueError` for an interval under 1 ms.
        """
        return self._start_timer(interval, message, interval)

    def _start_timer(self, delay: float, message: Any, interval: float | None) -> Timer:
        def fire(timer: Timer) -> None:
            if not timer.waiting:
                timer.waiting = True
                self._cell.mailbox.put_system(Tick(message, timer))

        timer = self._cell.system.timers.start(delay, fire, interval=interval, on_cancel=self._forget_timer)
        if self._cell.mailbox.is_closed:
            timer.cancel()  # the actor is past the end that would have cancelled it
        else:
            self._timers[timer] = None
        return timer

    def _forget_timer(self, timer: Timer) -> None:
        self._timers.pop(timer, None)

    def cancel_timer(self, timer: Timer) -> None:
        """Forget a timer that is no longer wanted: its message does not come, not even one that waits already."""
        timer.cancel()

    def pipe(
        self,
        work: Callable[[], Awaitable[Result]],
        *,
        into: Callable[[Result], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        """Do slow work outside the mailbox; `into(result)` or `failed(error)` is then told to this actor.

        One task for each call: bound by your own state how many are under way. Cancelled when the actor ends; it
        outlives a restart. What `into` raises goes to `failed`; what `failed` raises is a crash of this actor. Work
        that something else has cancelled failed with `WorkCancelled`.
        """
        if self._cell.mailbox.is_closed:
            return
        scope = anyio.CancelScope()
        self._pipes[scope] = None

        async def run() -> None:
            with scope:
                try:
                    told = await self._outcome(work, into, failed)
                finally:
                    self._pipes.pop(scope, None)
                self._cell.mailbox.put_system(told)

        self._cell.system.start_task(run)

    async def _outcome(
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

    @property
    def pipes_under_way(self) -> int:
        """How many pieces of slow work have not come back yet."""
        return len(self._pipes)

    # -- the end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End this actor once it has handled what is queued now."""
        self._cell.stop(StopReason(Cause.FINISHED))

    def stop_if_idle(self) -> bool:
        """End this actor at once if no message waits for it and no sender, else do nothing and say False.

        Timers, and slow work under way, do not hold it and are cancelled: if they matter, look at `pipes_under_way`.
        Atomic: whoever sends afterwards gets `ActorStopped` and can look the successor up, so nothing is lost between
        "it is idle" and "it has stopped".
        """
        if len(self._cell.mailbox):
            return False
        self._cell.close_mailbox()
        return True

    def forget_timers(self) -> None:
        """For the kernel: the timers of a life end with it."""
        for timer in list(self._timers):
            timer.cancel()

    def close(self) -> None:
        """For the kernel: let go of all that the actor held open."""
        self.forget_timers()
        for scope in list(self._pipes):
            scope.cancel()
        for ref in self._watched:
            ref.remove_watcher(self._cell)
        self._watched.clear()
        for silence in (self._listening or {}).values():
            silence()
        for owed in list(self._owed or ()):
            owed.fail(ActorStopped(self._cell.path))
