"""The message loop: takes messages out of the mailbox and gives each to its handler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint

from chat_actors.kernel.actor import handlers_of
from chat_actors.kernel.errors import ActorStopped, AskFailed
from chat_actors.kernel.events import Undelivered
from chat_actors.kernel.messages import (
    Asked,
    Cause,
    Failure,
    Notice,
    StopOrder,
    StopReason,
    SystemMessage,
)

if TYPE_CHECKING:
    from chat_actors.kernel.cell import Cell

TURNS_IN_A_ROW = 64
"""Messages (or batches) that a busy actor handles before it gives way to the others."""


class Crash(Exception):
    """Carries what an actor raised, and the messages it had in hand, from the loop to the supervision."""

    def __init__(self, messages: Sequence[Any], error: Exception, *, while_starting: bool = False) -> None:
        self.messages = messages
        self.error = error
        self.while_starting = while_starting


class MessageLoop:
    """The loop of one actor. It is entered again after each crash that the actor survives."""

    __slots__ = ("_cell", "_following", "_handlers", "_takes_batches")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        actor_class: Any = type(cell.actor)
        self._handlers, self._takes_batches = handlers_of(actor_class)
        # What ended a batch: it is handled next, also when the actor crashes on the batch.
        self._following: SystemMessage | Asked | None = None

    def in_hand(self) -> Sequence[SystemMessage | Asked]:
        """What was taken out of the mailbox and not handled yet."""
        return [] if self._following is None else [self._following]

    async def run(self) -> StopReason:
        """Handle messages until a stop order comes, or the actor stops itself. Raises `Crash`."""
        turns = 0
        while not self._cell.mailbox.is_closed:  # it is once the actor has ended itself by stop_if_idle()
            turns += 1
            if turns == TURNS_IN_A_ROW:
                turns = 0
                await checkpoint()
            item: Any = self._following
            self._following = None
            if item is None:
                try:
                    item = self._cell.mailbox.take_nowait()
                except anyio.WouldBlock:
                    self._cell.is_busy = False
                    turns = 0
                    try:
                        item = await self._cell.mailbox.take()
                    except ActorStopped:  # slow work of its own has called stop_if_idle()
                        break
                    finally:
                        self._cell.is_busy = True
            if self._takes_batches and not isinstance(item, SystemMessage | Asked):
                await self._handle_batch(item)
            elif (reason := await self._handle_item(item)) is not None:
                return reason
        return StopReason(Cause.FINISHED)

    async def _handle_item(self, item: Any) -> StopReason | None:
        match item:
            case StopOrder(reason=reason):
                return reason
            case Notice(message=message):
                if self._cell.context.take_notice(item):
                    await self._handle(message)
            case Failure(error=error):
                raise Crash([], error)
            case Asked():
                await self._answer(item)
            case _:
                await self._handle(item)
        return None

    async def _handle(self, message: Any) -> Any:
        handler = self._handlers.get(type(message))
        try:
            if handler is None:
                if not self._cell.actor.on_unhandled(message):
                    self._cell.dead_letter(message, Undelivered.UNHANDLED)
                return None
            answer = handler.call(self._cell.actor, message)
            return await answer if handler.is_async else answer
        except Exception as error:
            raise Crash([message], error) from error
        except BaseException:
            self._cell.dead_letter(message, Undelivered.CANCELLED)
            raise

    async def _answer(self, asked: Asked) -> None:
        request, path = asked.request, self._cell.path
        if type(request) not in self._handlers:
            self._cell.dead_letter(request, Undelivered.UNHANDLED)
            asked.reply.fail(_ask_failed(path, request, TypeError("it has no handler for that message")))
            return
        try:
            asked.reply.resolve(await self._handle(request))
        except Crash as crash:
            asked.reply.fail(_ask_failed(path, request, crash.error))
            raise
        except BaseException:
            asked.reply.fail(ActorStopped(path))  # cancelled in the middle of it
            raise

    async def _handle_batch(self, first: Any) -> None:
        """Hand over all that waits, up to the next request or system message."""
        batch = [first]
        while self._following is None and len(batch) < self._cell.mailbox.capacity:
            try:
                item = self._cell.mailbox.take_nowait()
            except anyio.WouldBlock:
                break
            if isinstance(item, SystemMessage | Asked):
                self._following = item
            else:
                batch.append(item)
        try:
            await self._cell.actor.on_batch(batch)
        except Exception as error:
            raise Crash(batch, error) from error
        except BaseException:
            for message in batch:
                self._cell.dead_letter(message, Undelivered.CANCELLED)
            raise


def _ask_failed(path: str, request: object, error: Exception) -> AskFailed:
    failure = AskFailed(path, request)
    failure.__cause__ = error
    return failure
