"""An actor without a task of its own."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from chat_actors.kernel.ports import CellPort
from chat_actors.kernel.ref import Ref

Message = TypeVar("Message")


class Hosted(Generic[Message]):
    """An actor that runs in the task that awaits `run()`. Made by `Context.spawn_hosted`."""

    __slots__ = ("_cell",)

    def __init__(self, cell: CellPort) -> None:
        self._cell = cell

    @property
    def ref(self) -> Ref[Message]:
        """Its ref, which serves as that of any other actor."""
        return self._cell.ref

    def run(self) -> Coroutine[Any, Any, None]:
        """Run the actor until it ends, for whatever reason. Await this once.

        If the task is cancelled, the actor ends with `Cause.CANCELLED`, without `on_stop`, and the cancellation
        continues.
        """
        return self._cell.run_hosted()
