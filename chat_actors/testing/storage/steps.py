"""Stop a coroutine at its n-th suspension: to cancel it there, or to hold it there while others run."""

from __future__ import annotations

import functools
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import anyio

WAIT_SECONDS = 10.0
"""Longest wait for a call to reach its next suspension or its end."""


@types.coroutine
def _stepped(
    call: Awaitable[object],
    suspending: Callable[[int], None],
    resuming: Callable[[int], Awaitable[None]] | None = None,
) -> Generator[Any, Any, None]:
    """Run `call`. `suspending(n)` runs before its n-th suspension, `resuming(n)` after it."""
    running = call.__await__()
    step = 0
    proceed: Callable[[], Any] = functools.partial(next, running)
    while True:
        try:
            trap = proceed()
        except StopIteration:
            return
        step += 1
        suspending(step)
        try:
            value = yield trap
            if resuming is not None:
                yield from resuming(step).__await__()
        except BaseException as error:
            proceed = functools.partial(running.throw, error)
        else:
            proceed = functools.partial(running.send, value)


async def cancel_at(step: int, call: Awaitable[object]) -> bool:
    """Run `call` and cancel it at its `step`-th suspension (from 1). Whether it suspended that often."""
    reached = False
    with anyio.CancelScope() as scope:

        def suspending(number: int) -> None:
            nonlocal reached
            if number == step:
                reached = True
                scope.cancel()

        await _stepped(call, suspending)
    return reached


async def hold_at(step: int, call: Awaitable[object], meanwhile: Callable[[], Awaitable[None]]) -> bool:
    """Run `call`, and `meanwhile` when it has passed its `step`-th suspension and before it continues.

    Whether it suspended that often; if not, `meanwhile` is not run.
    """
    stopped, go_on = anyio.Event(), anyio.Event()
    is_held = False

    async def resuming(number: int) -> None:
        nonlocal is_held
        if number == step:
            is_held = True
            stopped.set()
            await go_on.wait()

    async def run() -> None:
        await _stepped(call, lambda _: None, resuming)
        stopped.set()

    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(WAIT_SECONDS):
            await stopped.wait()
        if is_held:
            try:
                await meanwhile()
            except Exception as error:
                failure = error
            go_on.set()
    if failure is not None:
        raise failure
    return is_held
