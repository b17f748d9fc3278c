"""Distinguishes the kernel's cancellations from others."""

from __future__ import annotations

import math

import anyio


def is_cancelled() -> bool:
    """Whether an anyio scope around the caller is cancelled.

    If not, a cancellation came from elsewhere: on asyncio, from `Task.cancel()` or an awaited future that was
    cancelled. It concerns only this task, but a task group that receives it cancels all its tasks.
    """
    return anyio.current_effective_deadline() == -math.inf
