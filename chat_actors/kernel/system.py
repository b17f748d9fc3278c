"""The actor system: the root of the actor tree, its tasks, its statistics, and its orderly end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import anyio
import msgspec
from anyio.abc import TaskGroup, TaskStatus

from chat_actors.kernel.actor import Actor
from chat_actors.kernel.cell import Cell, start
from chat_actors.kernel.errors import SystemFailed
from chat_actors.kernel.events import DeadLetter, EventBus, Undelivered
from chat_actors.kernel.family import Family
from chat_actors.kernel.ports import CellPort, KeyedFactory
from chat_actors.kernel.ref import ActorType, Ref
from chat_actors.kernel.registry import Registry
from chat_actors.kernel.timers import TimerQueue

Message = TypeVar("Message")
Params = ParamSpec("Params")

logger = logging.getLogger(__name__)


class Node(msgspec.Struct, frozen=True):
    """One actor in `ActorSystem.tree()`.

    Attributes:
        path: Its path.
        actor: The name of its class.
        waiting: Number of waiting messages.
        restarts: Number of restarts.
        children: Its children.
    """

    path: str
    actor: str
    waiting: int
    restarts: int
    children: Sequence[Node]

    def lines(self, indent: str = "") -> list[str]:
        """Return the branch as text, one line for each actor."""
        name = self.path.rpartition("/")[2]
        extra = f" waiting={self.waiting}" if self.waiting else ""
        extra += f" restarts={self.restarts}" if self.restarts else ""
        return [f"{indent}{name} ({self.actor}){extra}"] + [
            line for child in self.children for line in child.lines(indent + "  ")
        ]


class Statistics(msgspec.Struct, frozen=True):
    """Figures about an actor system. All but the first four only grow.

    Attributes:
        actors: Number of actors that have not ended.
        waiting: Number of waiting messages.
        busy: Number of actors that are not idle.
        timers: Number of pending timers.
        failures: Number of crashes.
        restarts: Number of restarts.
        dead_letters: Number of dead letters for each reason.
        listener_failures: Number of exceptions that event listeners have raised.
    """

    actors: int
    waiting: int
    busy: int
    timers: int
    failures: int
    restarts: int
    dead_letters: Mapping[Undelivered, int]
    listener_failures: int


class ActorSystem:
    """Runs a tree of actors, in a task of its own: `await task_group.start(system.run)`.

    If a top actor escalates, the whole system stops, and `run` raises `SystemFailed`: a server without its core ends.

    Args:
        stop_within: Seconds that the orderly end may take after such a failure.
    """

    def __init__(self, *, stop_within: float = 10.0) -> None:
        self.events = EventBus()
        self.registry = Registry()
        self.timers = TimerQueue()
        self.family: Family[Cell] = Family()
        self._tasks: TaskGroup | None = None
        self._stop_within = stop_within
        self._stop_requested = anyio.Event()
        self._ended = anyio.Event()
        self._unfinished: dict[str, None] = {}
        self._failure: SystemFailed | None = None
        self._failures = 0
        self._restarts = 0
        self._dead_letters: Counter[Undelivered] = Counter()
        self._is_publishing_dead_letter = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until `stop` is called or a top actor escalates.

        At the end, the top actors stop one after the other, the youngest first: each handles its waiting messages, and
        its children end before it. Actors that have not ended within the deadline are cancelled.

        Raises:
            SystemFailed: A top actor escalated.
        """
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self.timers.run)
                task_status.started()
                await self._stop_requested.wait()
                with anyio.move_on_after(self._stop_within):
                    await self._stop_all()
                self.count_cancelled(cell.path for cell in self.family.walk())
                tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            self._ended.set()
        if self._unfinished:
            logger.warning("cancelled at the deadline: %s", ", ".join(self._unfinished))
        if self._failure is not None:
            raise self._failure

    async def _stop_all(self) -> None:
        while cells := self.family.with_ending():
            youngest = cells[-1]
            youngest.stop()
            await youngest.wait_ended()

    async def stop(self, *, within: float) -> Sequence[str]:
        """End all actors in order, and wait until they have ended.

        A second call waits for the first. Called before `run`, it returns at once, and `run` then ends immediately.

        Args:
            within: Seconds until the remaining actors are cancelled. An `on_stop` that has begun by then may still take
                its actor's own `stop_within`.

        Returns:
            The paths of the actors that were cancelled, at this deadline or their parent's; empty after an orderly end.
        """
        self._stop_within = within
        self._stop_requested.set()
        if self._tasks is not None:
            await self._ended.wait()
        return tuple(self._unfinished)

    async def wait_stopped(self) -> None:
        """Wait until the system has ended."""
        await self._ended.wait()

    def fail(self, path: str, error: Exception) -> None:
        """Stop the system, since a top actor has escalated."""
        if self._failure is None:
            self._failure = SystemFailed(path)
            self._failure.__cause__ = error
        self._stop_requested.set()

    # -- actors ------------------------------------------------------------------------------------------------------

    def spawn_named(
        self, name: str, factory: Callable[Params, Actor[Message]], *args: Params.args, **kwargs: Params.kwargs
    ) -> Ref[Message]:
        """Start a top actor made by `factory(*args, **kwargs)`; see `Context.spawn_named`.

        Raises:
            NameTaken: A top actor with this name is running, or one waits for the end of an earlier one.
            ActorStopped: The system does not run.
        """
        return start(self, self.family, None, f"/{name}", lambda: factory(*args, **kwargs)).ref

    def get_or_spawn(self, actor_type: ActorType[Message], key: str) -> Ref[Message]:
        """See `Context.get_or_spawn`."""
        return self.registry.get_or_spawn(actor_type, key)

    def declare(self, actor_type: ActorType[Any], parent: CellPort, make: KeyedFactory) -> None:
        """See `Context.declare`."""
        self.registry.declare(actor_type, parent, make)

    def find(self, actor_type: ActorType[Message], key: str) -> Ref[Message] | None:
        """See `Context.find`."""
        return self.registry.running(actor_type).get(key)

    @property
    def is_running(self) -> bool:
        """Whether actors can be started."""
        return self._tasks is not None

    def start_task(self, work: Callable[[], Coroutine[Any, Any, None]], name: str | None = None) -> None:
        """Run a task until the system ends; nothing if it does not run. Internal; actors use `Context.pipe`."""
        if self._tasks is not None:
            self._tasks.start_soon(work, name=name)

    # -- statistics --------------------------------------------------------------------------------------------------

    def count_failure(self) -> None:
        self._failures += 1

    def count_restart(self) -> None:
        self._restarts += 1

    def count_dead_letter(self, letter: DeadLetter) -> None:
        self._dead_letters[letter.why] += 1
        if self._is_publishing_dead_letter or isinstance(letter.message, DeadLetter):
            return
        self._is_publishing_dead_letter = True
        try:
            self.events.publish(letter)
        finally:
            self._is_publishing_dead_letter = False

    def count_cancelled(self, paths: Iterable[str]) -> None:
        """Record actors that did not stop in time, which `stop` returns. Ignored before the system stops."""
        if self._stop_requested.is_set():
            self._unfinished |= dict.fromkeys(paths)

    def statistics(self) -> Statistics:
        """Return the current figures. Walks all actors, so not for a hot path."""
        cells = list(self.family.walk())
        return Statistics(
            actors=len(cells),
            waiting=sum(len(cell.mailbox) for cell in cells),
            busy=sum(not cell.is_idle for cell in cells),
            timers=len(self.timers),
            failures=self._failures,
            restarts=self._restarts,
            dead_letters=dict(self._dead_letters),
            listener_failures=self.events.listener_failures,
        )

    def is_quiet(self) -> bool:
        """Whether no message waits, all actors are idle and no piped work is under way."""
        return all(
            cell.is_idle and not cell.mailbox.has_message and not cell.context.pipes_under_way
            for cell in self.family.walk()
        )

    def tree(self) -> Sequence[Node]:
        """Return all actors that have not ended, as a forest of parents and children."""
        return [_node(cell) for cell in self.family.with_ending()]


def _node(cell: Cell) -> Node:
    children = [_node(child) for child in cell.family.with_ending()]
    return Node(cell.path, type(cell.actor).__name__, len(cell.mailbox), cell.restarts, children)
