"""Runs an async test on a virtual clock, without a pytest plugin."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

import anyio

from chat_actors.kernel.testing import virtual_asyncio

Params = ParamSpec("Params")


def on_virtual_time(test: Callable[Params, Awaitable[None]]) -> Callable[Params, None]:
    """Turn an async test into a plain one that runs on its own event loop with a virtual clock.

    Args:
        test: The async function. Its parameters, such as pytest fixtures, are kept.

    Returns:
        A plain function for the test runner. No pytest plugin is needed.
    """

    @functools.wraps(test)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> None:
        backend, options = virtual_asyncio()
        anyio.run(functools.partial(test, *args, **kwargs), backend=backend, backend_options=options)

    return run
