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
from chat_actors.kernel.system import ActorSystem

Expected = TypeVar("Expected")


class _VirtualSelector(selectors.DefaultSelector):
    """Adds a timeout to `now` instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
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

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._system is None or self._tasks is None:
            return None
        with anyio.CancelScope(shield=True):
            await self._system.stop(within=self._stop_within)
        return await self._tasks.__aexit__(error_type, error, traceback)


async def settle(system: ActorSystem) -> None:
    """Wait until all mailboxes are empty, all actors are idle and no piped work runs. Ignores pending timers.

    Args:
        system: The running actor system.
    """
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
