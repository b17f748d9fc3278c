"""Runs a `Conversation` over one connection after another.

One task, `_run`, outlives all connections. For each it opens a socket and runs two tasks: one sends what the
conversation has to send, the other receives, and dispatches answers and events. When either fails, the connection
ends. `_run` then waits for the pause of the `Backoff` and connects again, or ends for good with an error, which every
later call raises. The first connection is tried once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

from chat_actors.client.backoff import Backoff
from chat_actors.client.conversation import TRANSIENT_CODES, Conversation
from chat_actors.client.conversation_events import (
    ConversationEvent,
    RequestAnswered,
    RequestLost,
    RequestRefused,
    Resumed,
)
from chat_actors.client.errors import CommandRefused, Unanswered
from chat_actors.client.event_queue import EventQueue
from chat_actors.client.events import Reconnected, Reconnecting
from chat_actors.client.pending_answers import PendingAnswers
from chat_actors.client.session import AccessRefused
from chat_actors.client.socket import ClientSocket, ConnectionLost, PermanentFailure
from chat_actors.protocol import CloseCode, messages

TOO_BIG = messages.Error("The message is longer than the server takes.", "too_big")
"""Reported for a frame over the server's limit: the server closes the connection without an error message."""

LOGIN_TIMEOUT = 30.0
"""Seconds for the login on a new connection."""


class ConnectionLoop:
    """Connects, logs in, sends and receives, and connects again after a failure."""

    def __init__(
        self,
        url: str,
        conversation: Conversation,
        open_socket: Callable[[], Awaitable[ClientSocket]],
        backoff: Backoff,
        answers: PendingAnswers,
        events: EventQueue,
        *,
        reconnect: bool,
    ) -> None:
        self._url = url
        self._conversation = conversation
        self._open_socket = open_socket
        self._backoff = backoff
        self._answers = answers
        self._events = events
        self._reconnect = reconnect
        self._to_send = asyncio.Event()
        self._end: Exception | None = None
        self._run_task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._retry_timer: asyncio.TimerHandle | None = None

    def check_open(self) -> None:
        """Raise the error with which the loop has ended, if it has."""
        if self._end is not None:
            raise self._end

    def wake_sender(self) -> None:
        """Send what the conversation has to send."""
        self._to_send.set()

    async def start(self) -> None:
        """Connect and log in, with one attempt. Raises `ConnectionLost` or `AccessRefused`."""
        if self._run_task is not None:
            raise RuntimeError("this client has been connected already: call open_connection() again for another")
        self._ready = asyncio.get_running_loop().create_future()
        self._run_task = asyncio.create_task(self._run(), name=f"chat client of {self._conversation.user_id}")
        try:
            await self._ready
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._run_task is not None:
            self._run_task.cancel()
            await asyncio.wait({self._run_task})  # not its result: a cancellation of this call must stay one
            if not self._run_task.cancelled():
                self._run_task.result()

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._run_connection()
                except (ConnectionLost, AccessRefused) as error:
                    if isinstance(error, ConnectionLost) and error.code == CloseCode.TOO_BIG:
                        self._dispatch(self._conversation.fail_in_flight(TOO_BIG))
                    self._dispatch(self._conversation.disconnected())
                    pause = self._pause_after(error)
                    if pause is None:
                        raise
                    why = error.text if isinstance(error, AccessRefused) else error.problem
                    self._events.push(Reconnecting(pause, why))
                    await self._events.flush()
                    await asyncio.sleep(pause)
        except (ConnectionLost, AccessRefused) as error:
            self._finish(error)
        except BaseException:
            self._finish(ConnectionLost(self._url, "the client was closed"))
            raise

    def _pause_after(self, error: ConnectionLost | AccessRefused) -> float | None:
        is_first_connection = self._ready is not None and not self._ready.done()
        if is_first_connection or not self._reconnect:
            return None
        match error:
            case AccessRefused(code=code):
                return self._backoff.next_pause() if code in TRANSIENT_CODES else None
            case PermanentFailure():
                return None
            case ConnectionLost(code=code, reason=reason):
                return self._backoff.pause_after(code, reason)
            case _:
                assert_never(error)

    def _finish(self, error: Exception) -> None:
        self._end = error
        self._answers.fail_all(error)
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
        self._events.close(error)

    async def _run_connection(self) -> None:
        socket = await self._open_socket()
        self._conversation.connected()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_all(socket))
                tasks.create_task(self._receive_all(socket))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            if self._retry_timer is not None:
                self._retry_timer.cancel()
                self._retry_timer = None
            await socket.aclose()

    async def _send_all(self, socket: ClientSocket) -> None:
        while True:
            self._to_send.clear()
            for text in self._conversation.to_send():
                await socket.send(text)
            await self._to_send.wait()

    async def _receive_all(self, socket: ClientSocket) -> None:
        while True:
            timeout = None if self._conversation.is_logged_in else LOGIN_TIMEOUT
            try:
                async with asyncio.timeout(timeout):
                    text = await socket.receive()
            except TimeoutError:
                raise ConnectionLost(self._url, f"no login within {LOGIN_TIMEOUT:g} s") from None
            self._dispatch(self._conversation.receive(text))
            self._to_send.set()
            await self._events.flush()
            if self._conversation.can_send and not self._conversation.needs_retry:
                self._backoff.succeeded()
            if self._conversation.is_logged_in and self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            if self._conversation.needs_retry and self._retry_timer is None:
                pause = self._backoff.next_pause()
                self._retry_timer = asyncio.get_running_loop().call_later(pause, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        self._conversation.retry()
        self._to_send.set()

    def _dispatch(self, events: Sequence[ConversationEvent]) -> None:
        for event in events:
            match event:
                case RequestAnswered(request_id=request_id, answer=answer):
                    self._answers.resolve(request_id, answer)
                case RequestRefused(request_id=request_id, error=error):
                    self._answers.fail(request_id, CommandRefused(error))
                case RequestLost(request_id=request_id, command=command, why=why):
                    self._answers.fail(request_id, Unanswered(command, why))
                case Resumed():
                    self._events.push(Reconnected())
                case _:
                    self._events.push(event)
