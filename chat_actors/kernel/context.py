"""An actor's access to the kernel: start and watch actors, send requests, set timers, run slow work, and stop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import msgspec

from chat_actors.kernel.events import EventBus
from chat_actors.kernel.hosted import Hosted
from chat_actors.kernel.messages import Asked, Cause, MessageReply, OwedAnswer, Reply, Request, StopReason
from chat_actors.kernel.ports import ActorObject, CellPort
from chat_actors.kernel.ref import ActorType, AnyRef, Ref
from chat_actors.kernel.resources import Resources
from chat_actors.kernel.timers import Timer

Message = TypeVar("Message")
Result = TypeVar("Result")
Answer = TypeVar("Answer")
Params = ParamSpec("Params")


class Context(Resources):
    """An actor's access to the kernel. Only the actor itself may use it; others get `self_ref`.

    Children, watches, piped work, subscriptions to events, owed answers and reserved slots outlive a restart of the
    actor; timers do not. All end with the actor.
    """

    def __init__(self, cell: CellPort) -> None:
        super().__init__(cell)
        self._spawned = 0

    @property
    def self_ref(self) -> AnyRef:
        """The actor's own ref; the same after a restart."""
        return self._cell.ref

    @property
    def events(self) -> EventBus:
        """The event bus of the system."""
        return self._cell.system.events

    @property
    def children(self) -> Sequence[AnyRef]:
        """The running children, oldest first."""
        return self._cell.children()

    def spawn(
        self, factory: Callable[Params, ActorObject[Message]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Ref[Message]:
        """Start a child with a generated name.

        Messages may be sent to it at once; they wait until it has started. It ends at the latest with this actor.

        Args:
            factory: An `Actor` class, or a function that returns a new actor. Called now and for each restart.
            *args: Its positional arguments.
            **kwargs: Its keyword arguments.

        Returns:
            The child's ref.

        Raises:
            ActorStopped: This actor is ending.
            Exception: Any exception of the factory.
        """
        return self._cell.spawn_child(self._child_name(factory), lambda: factory(*args, **kwargs))

    def _child_name(self, factory: Callable[..., Any]) -> str:
        self._spawned += 1
        prefix = getattr(factory, "__name__", "actor").lower().removesuffix("actor") or "actor"
        return f"{prefix}-{self._spawned}"

    def spawn_named(
        self, name: str, factory: Callable[Params, ActorObject[Message]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Ref[Message]:
        """Start a child with this name. Otherwise like `spawn`.

        If a child of this name is ending, the new one starts once that one has ended; messages wait until then.

        Raises:
            NameTaken: A child with this name is running, or one waits for the end of an earlier one.
        """
        return self._cell.spawn_child(name, lambda: factory(*args, **kwargs))

    def spawn_hosted(
        self, factory: Callable[Params, ActorObject[Message]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Hosted[Message]:
        """Make a child that runs in the task that awaits its `run()`. Otherwise like `spawn`.

        For an actor that serves one connection, which has a task already. Messages wait until it runs. If it is stopped
        before that, it ends without `on_start` and `on_stop`.
        """
        cell = self._cell.spawn_hosted_child(self._child_name(factory), lambda: factory(*args, **kwargs))
        return Hosted(cell)

    def declare(
        self, actor_type: ActorType[Message], make: Callable[[str], Callable[[], ActorObject[Message]]]
    ) -> None:
        """Become the parent of all actors of a type, which `get_or_spawn` then starts as children of this actor.

        Args:
            actor_type: The type.
            make: Called with the key, once for each actor. It returns the factory, which is called for each incarnation
                of that actor, so the factory's closure outlives a crash.
        """
        self._cell.system.declare(actor_type, self._cell, make)

    def get_or_spawn(self, actor_type: ActorType[Message], key: str) -> Ref[Message]:
        """Return the running actor of a type with this key, or start it. Atomic: there are never two.

        The actor may end before a message reaches it; a sender that gets `ActorStopped` calls this again. While one of
        this key is ending, this returns its successor, which accepts messages and starts once the other has ended. So
        an ending actor must not wait for an answer of its own successor.

        Raises:
            UnknownActorType: No actor has declared the type.
            ActorStopped: The parent of the type is ending.
        """
        return self._cell.system.get_or_spawn(actor_type, key)

    def find(self, actor_type: ActorType[Message], key: str) -> Ref[Message] | None:
        """Return the running actor of a type with this key, or None."""
        return self._cell.system.find(actor_type, key)

    def watch(self, ref: AnyRef) -> None:
        """Have the actor receive one `Terminated` message when another actor ends; at once if it has ended.

        A second call for the same ref does nothing, as does a call while this actor is ending.
        """
        if ref not in self._watched and not self._cell.mailbox.is_closed:
            self._watched.add(ref)
            ref.add_watcher(self._cell)

    def unwatch(self, ref: AnyRef) -> None:
        """Stop watching an actor. A `Terminated` message that waits already is dropped."""
        self._watched.discard(ref)
        ref.remove_watcher(self._cell)

    def listen(self, event_type: type[msgspec.Struct]) -> None:
        """Have the actor receive each published event of a type as a message. A second call does nothing.

        An event that finds the mailbox full becomes a dead letter, except a `DeadLetter` event, which is dropped:
        dead letters about dead letters would never end.

        Args:
            event_type: The class of the events; its subclasses are not included.
        """
        if self._listening is None:
            self._listening = {}
        if event_type not in self._listening and not self._cell.mailbox.is_closed:
            self._listening[event_type] = self.events.listen(event_type, self._receive_event)

    def ask_into(
        self,
        ref: Ref[Any],
        request: Request[Answer],
        *,
        into: Callable[[Answer], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        """Send a request and receive its answer as a message, by the system lane. Needs no task, so has no timeout.

        Args:
            ref: The actor to ask.
            request: The request.
            into: Makes the message from the answer.
            failed: Makes the message from the exception: `ActorStopped` or `AskFailed`, or what `into` raised. An
                exception here is a crash of this actor.

        Raises:
            MailboxFull: The request could not be queued.
            ActorStopped: The actor to ask has ended.
        """
        ref.send_nowait(Asked(request, MessageReply(self._cell.mailbox.put_system, into, failed)))

    def answer_later(self) -> OwedAnswer[Any]:
        """Take over the answer to the request being handled; the handler's return value is then ignored.

        An answer still owed when the actor ends fails with `ActorStopped`. If the message was not sent with `ask`,
        the answer is dropped.

        Returns:
            The answer to give. Keep it where it outlives a restart.
        """
        if self._owed is None:
            self._owed = {}
        reply, self.answering = self.answering or Reply(), None
        return OwedAnswer(reply, self._owed)

    def reserve_slots(self, slots: int) -> None:
        """Keep mailbox slots occupied by messages that were taken out but are not finished.

        `mailbox_capacity` then bounds these and the waiting messages together. Outlives a restart, so keep the
        unfinished messages where they do too.
        """
        self._cell.mailbox.reserve(slots)

    def release_slots(self, slots: int) -> None:
        """Release reserved slots; waiting senders use them."""
        self._cell.mailbox.release(slots)

    def after(self, delay: float, message: Any) -> Timer:
        """Send this actor a message once, after `delay` seconds, by the system lane. A restart cancels it."""
        return self._start_timer(delay, message, None)

    def every(self, interval: float, message: Any) -> Timer:
        """Send this actor a message every `interval` seconds, by the system lane. A restart cancels it.

        While one of these messages waits, the timer adds no other.

        Raises:
            ValueError: The interval is under 1 ms.
        """
        return self._start_timer(interval, message, interval)

    def cancel_timer(self, timer: Timer) -> None:
        """Cancel a timer. Its message is dropped even if it waits already."""
        timer.cancel()

    def pipe(
        self,
        work: Callable[[], Awaitable[Result]],
        *,
        into: Callable[[Result], Any],
        failed: Callable[[Exception], Any],
    ) -> None:
        """Run slow work in a task of its own, and receive its result as a message, by the system lane.

        Bound the number of calls under way yourself: each has a task. The work is cancelled when the actor ends.

        Args:
            work: The async function to run.
            into: Makes the message from the result.
            failed: Makes the message from the exception of `work` or `into`; `WorkCancelled` if something outside the
                kernel cancelled the work. An exception here is a crash of this actor.
        """
        self._start_work(work, into, failed)

    @property
    def pipes_under_way(self) -> int:
        """Number of `pipe` calls whose work has not finished."""
        return len(self._pipes)

    def stop(self) -> None:
        """End this actor once it has handled the messages queued now."""
        self._cell.stop(StopReason(Cause.FINISHED))

    def stop_if_idle(self) -> bool:
        """Accept no more messages and end once the current handler returns, unless messages or senders wait.

        Atomic: later senders get `ActorStopped` and can look up the successor, so no message is lost. Timers and piped
        work do not keep the actor running and are cancelled; check `pipes_under_way` if they matter.

        Returns:
            Whether the actor ends.
        """
        if len(self._cell.mailbox):
            return False
        self._cell.close_mailbox()
        return True
