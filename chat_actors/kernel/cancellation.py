"""Distinguishes the kernel's cancellations from others, and those that a plain function raises from both."""

from __future__ import annotations

import math

import anyio


def is_cancelled() -> bool:
    """Whether an anyio scope around the caller is cancelled.

    If not, a cancellation came from elsewhere: on asyncio, from `Task.cancel()` or an awaited future that was
    cancelled. It concerns only this task, but a task group that receives it cancels all its tasks.
    """
    return anyio.current_effective_deadline() == -math.inf


def as_failure(error: BaseException) -> Exception:
    """Return the failure of a plain function that the kernel called. Raises `KeyboardInterrupt`, which is not its own.

    A function that does not await is never cancelled, so a cancellation out of it is its own exception, such as that of
    a future's `result()`. If it propagated, it would end the task that called the function.
    """
    if isinstance(error, Exception):
        return error
    if isinstance(error, KeyboardInterrupt):
        raise error
    failure = RuntimeError(f"a function that does not await raised {error!r}")
    failure.__cause__ = error
    return failure
