"""Runs a `Conversation` over one connection after another.

One task, `_run`, outlives all connections. For each it opens a socket and runs two tasks: one sends what the
conversation has to send, the other receives. When either fails, the connection ends. `_run` then waits for the pause of
the `Backoff` and connects again, or ends for good with an error. The first connection is tried once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from chat_actors.client.backoff import Backoff
from chat_actors.client.conversation import Conversation
from chat_actors.client.conversation_events import ConversationEvent
from chat_actors.client.error_codes import TRANSIENT_CODES
from chat_actors.client.errors import ServerTooOld
from chat_actors.client.events import Reconnecting
from chat_actors.client.session import AccessRefused
from chat_actors.client.socket import ClientSocket, ConnectionLost, PermanentFailure
from chat_actors.protocol import CloseCode

LOGIN_TIMEOUT = 30.0
"""Seconds for the login on a new connection."""

FAILURES = (ConnectionLost, AccessRefused, ServerTooOld)
"""The errors that end a connection."""


class ConnectionListener(Protocol):
    """Handles what happens on the connections."""

    def on_events(self, events: Sequence[ConversationEvent]) -> None:
        """Handle the events of the conversation."""

    def on_reconnecting(self, event: Reconnecting) -> None:
        """Handle the end of a connection that will be followed by another attempt."""

    def on_end(self, error: Exception) -> None:
        """Handle the end of the last connection."""


class ConnectionLoop:
    """Connects, logs in, sends and receives, and connects again after a failure.

    Attributes:
        has_ended: Whether there will be no connection any more.
    """

    def __init__(
        self,
        url: str,
        conversation: Conversation,
        open_socket: Callable[[], Awaitable[ClientSocket]],
        backoff: Backoff,
        listener: ConnectionListener,
        *,
        reconnect: bool,
    ) -> None:
        """Start to connect, in a task."""
        self._url = url
        self._conversation = conversation
        self._open_socket = open_socket
        self._backoff = backoff
        self._listener = listener
        self._reconnect = reconnect
        self._to_send = asyncio.Event()
        self._has_been_ready = False
        self._is_closing = False
        self._is_decided = asyncio.Event()  # the first connection is logged in, or has failed
        self._error: Exception | None = None
        self.has_ended = False
        self._run_task = asyncio.create_task(self._run(), name=f"chat of {conversation.user_id}")

    def wake_sender(self) -> None:
        """Send what the conversation has to send."""
        self._to_send.set()

    async def wait_until_ready(self) -> None:
        """Wait for the first login. Raises `ConnectionLost`, `AccessRefused` or `ServerTooOld`."""
        await self._is_decided.wait()
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        """Close the connection. Closing twice has no effect."""
        self._is_closing = True
        self._run_task.cancel()
        await asyncio.wait({self._run_task})  # not its result: a cancellation of this call must stay one
        self._end(ConnectionLost(self._url, "the chat was closed"))  # if the task was cancelled before its first step
        if not self._run_task.cancelled():
            self._run_task.result()

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._run_connection()
                except FAILURES as error:
                    is_too_big = isinstance(error, ConnectionLost) and error.code == CloseCode.TOO_BIG
                    self._listener.on_events(self._conversation.disconnected(is_too_big=is_too_big))
                    pause = self._pause_after(error)
                    if pause is None:
                        raise
                    why = error.problem if isinstance(error, ConnectionLost) else str(error)
                    self._listener.on_reconnecting(Reconnecting(pause, why))
                    await asyncio.sleep(pause)
        except FAILURES as error:
            self._end(error)
        except BaseException:
            self._listener.on_events(self._conversation.disconnected())
            self._end(ConnectionLost(self._url, "the chat was closed"))
            raise

    def _pause_after(self, error: Exception) -> float | None:
        # A task group that ends with an error swallows a cancellation at the same moment.
        if self._is_closing or not self._has_been_ready or not self._reconnect:
            return None
        match error:
            case AccessRefused(code=code) if code in TRANSIENT_CODES:
                return self._backoff.next_pause()
            case AccessRefused() | ServerTooOld() | PermanentFailure():
                return None
            case ConnectionLost(code=code, reason=reason):
                return self._backoff.pause_after(code, reason)
            case _:
                raise AssertionError(f"no failure of a connection: {error!r}")

    def _end(self, error: Exception) -> None:
        if not self.has_ended:
            self._error = error
            self.has_ended = True
            self._is_decided.set()
            self._listener.on_end(error)

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
            await socket.aclose()

    async def _send_all(self, socket: ClientSocket) -> None:
        while True:
            self._to_send.clear()
            for text in self._conversation.to_send():
                await socket.send(text)
            await self._to_send.wait()

    async def _receive_all(self, socket: ClientSocket) -> None:
        while True:
            was_logged_in = self._conversation.is_logged_in
            try:
                async with asyncio.timeout(None if was_logged_in else LOGIN_TIMEOUT):
                    text = await socket.receive()
            except TimeoutError:
                raise ConnectionLost(self._url, f"no login within {LOGIN_TIMEOUT:g} s") from None
            self._listener.on_events(self._conversation.receive(text))
            self._to_send.set()
            if was_logged_in:
                self._backoff.succeeded()
            elif self._conversation.is_logged_in:
                self._has_been_ready = True
                self._is_decided.set()
