"""A test kit: virtual clocks, a running actor system, a probe actor, and a wait until all actors are idle."""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from types import TracebackType
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from chat_actors.kernel.actor import Actor
from chat_actors.kernel.cell import Cell
from chat_actors.kernel.system import ActorSystem

Expected = TypeVar("Expected")


SETTLE_STEPS = 10_000
"""Steps after which `settle` gives up: over two hours on the clock, and under a second of a test with a virtual one."""

LONGEST_STEP = 1.0
"""Seconds. A step begins with 1 ms, and becomes a hundredth of the time that was waited."""

BUSY_TURNS = 5000
"""Turns of the event loop without any wait, after which a step of `settle` ends at once.

Otherwise its timeout would never come in a test in which an actor sends itself messages forever.
"""


class _VirtualSelector(selectors.DefaultSelector):
    """Adds a timeout to `now` instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.step_ends: float | None = None
        """When the current step of `settle` ends."""
        self._busy_turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        self._busy_turns = self._busy_turns + 1 if timeout == 0 and self.step_ends is not None else 0
        if self._busy_turns > BUSY_TURNS and self.step_ends is not None:
            self.now = max(self.now, self.step_ends)
        return ready


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop on virtual time: when all tasks wait, the clock jumps to the next timeout.

    Only for code in one thread without sockets: the clock does not wait for worker threads.
    """

    def __init__(self) -> None:
        self._virtual_selector = _VirtualSelector()
        super().__init__(self._virtual_selector)

    def time(self) -> float:
        return self._virtual_selector.now

    async def wait_step(self, seconds: float) -> None:
        """Sleep, but not for longer than `BUSY_TURNS` if no turn of the loop waits."""
        self._virtual_selector.step_ends = self.time() + seconds
        try:
            await anyio.sleep(seconds)
        finally:
            self._virtual_selector.step_ends = None


def virtual_asyncio() -> tuple[str, dict[str, Any]]:
    """Return the backend and options for `anyio.run` and anyio's pytest plugin: asyncio on virtual time."""
    return "asyncio", {"loop_factory": VirtualEventLoop}


def virtual_trio() -> tuple[str, dict[str, Any]]:
    """Return the backend and options for one `anyio.run`: trio, with a new virtual clock. Needs trio installed."""
    from trio.testing import MockClock  # imported here because trio is an optional dependency

    return "trio", {"clock": MockClock(autojump_threshold=0)}


class RunningSystem:
    """Runs an actor system for the length of a block: `async with RunningSystem() as system:`.

    Args:
        stop_within: Seconds that the actors may take to end after the block.
    """

    def __init__(self, *, stop_within: float = 10.0) -> None:
        self._stop_within = stop_within
        self._tasks: TaskGroup | None = None
        self._system: ActorSystem | None = None

    async def __aenter__(self) -> ActorSystem:
        self._system = ActorSystem()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self._tasks.start(self._system.run)
        return self._system

    async def kill(self) -> None:
        """End at once, as a killed process does: all actors are cancelled, and no `on_stop` runs."""
        if self._tasks is None:
            return
        tasks, self._tasks, self._system = self._tasks, None, None
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._system is None or self._tasks is None:
            return None
        with anyio.CancelScope(shield=True):
            await self._system.stop(within=self._stop_within)
        return await self._tasks.__aexit__(error_type, error, traceback)


async def settle(
    system: ActorSystem, *, steps: int = SETTLE_STEPS, background: tuple[type[Actor[Any]], ...] = ()
) -> None:
    """Wait until all mailboxes are empty, all actors are idle and no piped work runs. Ignores pending timers.

    Args:
        system: The running actor system.
        steps: The number of steps to wait at most, each of 1 ms or a hundredth of the time waited, up to 1 s.
        background: Classes of actors whose piped work never ends, so that it is not waited for.

    Raises:
        AssertionError: Some actors are still busy. The text names each, and what it does.
    """
    quiet = waited = 0
    began = anyio.current_time()
    while quiet < 3:  # an actor that was just woken looks idle for one turn of the event loop
        elapsed = anyio.current_time() - began
        busy = [(cell.path, work) for cell in system.family.walk() if (work := _work_of(cell, background))]
        if not busy:
            quiet += 1
            await checkpoint()
        elif waited == steps:
            named = "; ".join(f"{path} {work}" for path, work in busy[:NAMED])
            more = f"; and {len(busy) - NAMED} more" if len(busy) > NAMED else ""
            raise AssertionError(f"actors are still busy after {elapsed:.0f} s ({steps} steps): {named}{more}")
        else:
            quiet = 0
            waited += 1
            await _wait_step(max(0.001, min(elapsed / 100, LONGEST_STEP)))


async def _wait_step(seconds: float) -> None:
    # A sleep, not a checkpoint: a virtual clock advances only when all tasks wait.
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # on trio
        loop = None
    await (loop.wait_step(seconds) if isinstance(loop, VirtualEventLoop) else anyio.sleep(seconds))


NAMED = 5
"""The most busy actors that an error names."""


def _work_of(cell: Cell, background: tuple[type[Actor[Any]], ...]) -> str:
    """What an actor is doing; empty if it is quiet."""
    work = [] if cell.is_idle else ["is handling a message"]
    if cell.mailbox.has_message:
        work.append(f"has {len(cell.mailbox)} waiting messages")
    if cell.context.pipes_under_way and not isinstance(cell.actor, background):
        work.append(f"has {cell.context.pipes_under_way} calls of `pipe` under way")
    return " and ".join(work)


class Probe(Actor[Any]):
    """An actor that records the messages that it receives, in order.

    Start it with `probe = Probe()` and `system.spawn_named("probe", lambda: probe)`.

    Attributes:
        received: The messages that `expect` has not returned yet.
    """

    def __init__(self) -> None:
        self.received: deque[Any] = deque()
        self._arrival = anyio.Event()

    def on_unhandled(self, message: Any) -> bool:
        self.received.append(message)
        self._arrival.set()
        self._arrival = anyio.Event()
        return True

    async def expect(self, message_type: type[Expected], *, within: float = 5.0) -> Expected:
        """Return the oldest message in `received`, or wait for the next one.

        Args:
            message_type: The expected class.
            within: Seconds to wait.

        Raises:
            AssertionError: The message has another type, or none arrived.
        """
        with anyio.move_on_after(within):
            while not self.received:
                await self._arrival.wait()
        if not self.received:
            raise AssertionError(f"no {message_type.__name__} came within {within:g} s")
        message = self.received.popleft()
        if not isinstance(message, message_type):
            raise AssertionError(f"expected {message_type.__name__}, got {message!r}")
        return message
