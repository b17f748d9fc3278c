"""Telling the kernel's cancellations from those of others."""

from __future__ import annotations

import math

import anyio


def is_cancelled() -> bool:
    """Whether an anyio scope around the caller is cancelled.

    If not, a cancellation that arrives comes from elsewhere: on asyncio, `Task.cancel()`, or a cancelled future that
    was awaited. It means the one task that it hits; a task group would take it for a reason to cancel all.
    """
    return anyio.current_effective_deadline() == -math.inf
