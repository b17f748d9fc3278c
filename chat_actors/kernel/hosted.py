"""An actor without a task of its own."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from chat_actors.kernel.ports import CellPort
from chat_actors.kernel.ref import Ref

Message = TypeVar("Message")


class Hosted(Generic[Message]):
    """An actor that has been made, and lives in the task that awaits `run()`. See `Context.spawn_hosted`."""

    __slots__ = ("_cell",)

    def __init__(self, cell: CellPort) -> None:
        self._cell = cell

    @property
    def ref(self) -> Ref[Message]:
        """Its address: stop it, tell it, watch it like any other actor."""
        return self._cell.ref

    def run(self) -> Coroutine[Any, Any, None]:
        """Be the actor until it ends; return then, whatever the reason. To be awaited once.

        If the task is cancelled meanwhile, the actor ends as if killed (no `on_stop`), and the cancellation goes on.
        """
        return self._cell.run_hosted()
