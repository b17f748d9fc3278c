"""A test kit: virtual clocks, a system for the length of a test, a probe actor, and waiting until all is idle."""

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
from chat_actors.kernel.system import ActorSystem

Expected = TypeVar("Expected")


class _JumpingSelector(selectors.DefaultSelector):
    """Advances the clock by a timeout instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout is not None and timeout > 0:
            self.jumped += timeout
        return ready


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop on virtual time: when all tasks wait, the clock jumps to the next timeout.

    Only for code in one thread without sockets: the clock does not wait for worker threads.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped


def virtual_asyncio() -> tuple[str, dict[str, Any]]:
    """Return backend and options for `anyio.run` and anyio's pytest plugin: asyncio on virtual time."""
    return "asyncio", {"loop_factory": VirtualEventLoop}


def virtual_trio() -> tuple[str, dict[str, Any]]:
    """Return backend and options for `anyio.run`: trio on virtual time, with a new clock. Needs trio installed."""
    from trio.testing import MockClock  # only tests need it, so it is no requirement

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

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._system is None or self._tasks is None:
            return None
        with anyio.CancelScope(shield=True):
            await self._system.stop(within=self._stop_within)
        return await self._tasks.__aexit__(error_type, error, traceback)


async def settle(system: ActorSystem) -> None:
    """Wait until no message waits, all actors are idle and no piped work is under way. Ignores pending timers."""
    quiet = 0
    while quiet < 3:  # an actor that was just woken looks idle for one turn of the event loop
        if system.is_quiet():
            quiet += 1
            await checkpoint()
        else:
            quiet = 0
            # A sleep, not a checkpoint: a virtual clock advances only when all tasks wait.
            await anyio.sleep(0.001)


class Probe(Actor[Any]):
    """An actor that keeps all messages for the test, in order.

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
        """Return the next message, and wait for it if necessary.

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
