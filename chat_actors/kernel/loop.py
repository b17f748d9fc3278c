"""The message loop: takes messages out of the mailbox and calls the handler of each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from anyio.lowlevel import checkpoint

from chat_actors.kernel.actor import Actor, handlers_of
from chat_actors.kernel.cancellation import as_failure
from chat_actors.kernel.context import Context
from chat_actors.kernel.errors import ActorStopped, AskFailed
from chat_actors.kernel.events import ActorFailed, Undelivered
from chat_actors.kernel.messages import (
    Asked,
    Cause,
    Failure,
    Notice,
    StopOrder,
    StopReason,
)
from chat_actors.kernel.ports import CellPort

logger = logging.getLogger(__name__)

MESSAGES_PER_TURN = 64
"""Messages that a busy actor handles in a row before it yields to the event loop."""


class Crash(Exception):
    """Carries an actor's exception, and the messages it was handling, from the loop to supervision."""

    def __init__(self, messages: Sequence[Any], error: Exception, *, while_starting: bool = False) -> None:
        self.messages = messages
        self.error = error
        self.while_starting = while_starting


class LoopCell(CellPort, Protocol):
    """The part of a cell that its message loop uses."""

    is_idle: bool

    @property
    def actor(self) -> Actor[Any]: ...
    @property
    def context(self) -> Context: ...


class MessageLoop:
    """The loop of one actor. It runs again after each crash from which the actor resumes or restarts."""

    __slots__ = ("_cell", "_handlers", "_has_turn_end")

    def __init__(self, cell: LoopCell) -> None:
        self._cell = cell
        actor_class: Any = type(cell.actor)
        self._handlers, self._has_turn_end = handlers_of(actor_class)

    async def run(self) -> StopReason:
        """Handle messages until a stop order, or until the actor stops itself. Raises `Crash`."""
        cell = self._cell
        mailbox = cell.mailbox
        handled = 0
        item: Any = None
        while not mailbox.is_closed:  # stop_if_idle() closes it
            if handled == MESSAGES_PER_TURN:
                handled = 0
                self._end_turn()
                await checkpoint()
            if not mailbox.has_message:
                item = None  # an idle actor must not keep its last message in memory
                cell.is_idle = True
                try:
                    self._end_turn()
                    if await mailbox.wait():
                        handled = 0
                finally:
                    cell.is_idle = False
                continue
            handled += 1
            item = mailbox.take_nowait()
            if (reason := await self._handle_item(item)) is not None:
                self._end_last_turn()
                return reason
        return StopReason(Cause.FINISHED)

    def _end_turn(self) -> None:
        if self._has_turn_end:
            try:
                self._cell.actor.on_turn_end()
            except BaseException as error:
                raise Crash([], as_failure(error)) from error

    def _end_last_turn(self) -> None:
        try:
            self._end_turn()
        except Crash as crash:
            self.report(crash)  # the actor is ending, so supervision has nothing to decide

    def report(self, crash: Crash) -> None:
        """Log a crash, call `on_failure` and publish the dead letters and `ActorFailed`."""
        cell = self._cell
        on = type(crash.messages[0]).__name__ if crash.messages else "no message"
        logger.error("%s crashed on %s: %r", cell.path, on, crash.error, exc_info=crash.error)
        cell.system.count_failure()
        for message in crash.messages or [None]:
            try:
                cell.actor.on_failure(message, crash.error)
            except BaseException as error:
                logger.error("%s raised in on_failure, which must not raise", cell.path, exc_info=as_failure(error))
            if message is not None:
                cell.dead_letter(message, Undelivered.CRASHED)
        cell.system.events.publish(ActorFailed(cell.path, crash.error))

    async def _handle_item(self, item: Any) -> StopReason | None:
        match item:
            case StopOrder(reason=reason):
                return reason
            case Notice(message=message):
                if self._cell.context.take_notice(item):
                    await self._handle(message)
            case Failure(error=error, messages=messages):
                raise Crash(messages, error)
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
        except BaseException as error:
            if handler is None or not handler.is_async:
                raise Crash([message], as_failure(error)) from error
            self._cell.dead_letter(message, Undelivered.CANCELLED)
            raise

    async def _answer(self, asked: Asked) -> None:
        request, path = asked.request, self._cell.path
        if type(request) not in self._handlers:
            self._cell.dead_letter(request, Undelivered.UNHANDLED)
            asked.reply.fail(_ask_failed(path, request, TypeError("it has no handler for that message")))
            return
        context = self._cell.context
        context.answering = asked.reply
        try:
            answer = await self._handle(request)
            if context.answering is not None:
                asked.reply.resolve(answer)
        except Crash as crash:
            asked.reply.fail(_ask_failed(path, request, crash.error))
            raise
        except BaseException:
            asked.reply.fail(ActorStopped(path))  # cancelled while handling the request
            raise
        finally:
            context.answering = None


def _ask_failed(path: str, request: object, error: Exception) -> AskFailed:
    failure = AskFailed(path, request)
    failure.__cause__ = error
    return failure
