"""Calls hooks, which may be plain or `async`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from chat_actors.kernel.cancellation import as_failure


async def call_hook(hook: Callable[..., Any], *arguments: Any) -> Any:
    """Call a hook and return its result, awaited if the hook is `async`."""
    try:
        result = hook(*arguments)
    except Exception:
        raise
    except BaseException as error:
        raise as_failure(error) from error
    return await result if result is not None and inspect.isawaitable(result) else result


def is_async(hook: Callable[..., Any]) -> bool:
    """Whether a hook must be awaited: it, or the function that a decorator has wrapped, is `async`."""
    return inspect.iscoroutinefunction(inspect.unwrap(hook))
