"""A client that is connected: one unbroken conversation over a line that breaks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar, assert_never

from chat_actors.client.answers import Answers
from chat_actors.client.backoff import Backoff
from chat_actors.client.conversation import PASSING, Conversation
from chat_actors.client.dialect import Unknown
from chat_actors.client.events import ClientEvent, NobodyReads, NotSent, Reconnected, Reconnecting, Unanswered
from chat_actors.client.outcomes import Done, Event, NoAnswer, NotDone, Resumed
from chat_actors.client.session import Refused
from chat_actors.client.socket import ClientSocket, ConnectionLost, NoServer
from chat_actors.protocol import (
    AnyMessage,
    CloseCode,
    Command,
    ExtensionCommand,
    ExtensionMessage,
    ListMembers,
    ReadHistory,
    messages,
)

TOO_BIG = messages.Error("The message is longer than the server takes.", "too_big")
"""What the server would say, if it could: it closes the connection instead."""

LOGIN_WITHIN = 30.0
"""Seconds for the login on a new connection."""

READ_WITHIN = 10.0
"""Seconds for which events may wait to be read while somebody waits for an answer that is behind them."""

EVENTS = 1000
"""Events that may wait to be read. Beyond, the server is not read from."""


EVENTS_BEHIND = 20_000
"""Events that are taken besides while somebody waits for an answer, which may be behind them."""

Answer = TypeVar("Answer")
Extra = TypeVar("Extra", bound=ExtensionMessage)


class ChatClient:
    """A logged-in user. `async for message in chat` is one stream over all connections: each message of the room once,
    in order, or a `Gap` that says what is missing; and `Reconnecting` and `Reconnected` in between.

    One room at a time, as the server has it. Everything that waits is bounded: whoever does not read is not read for.
    """

    def __init__(
        self,
        url: str,
        conversation: Conversation,
        open_socket: Callable[[], Awaitable[ClientSocket]],
        backoff: Backoff,
        *,
        reconnect: bool,
        listen: bool,
    ) -> None:
        self._url = url
        self._conversation = conversation
        self._open_socket = open_socket
        self._backoff = backoff
        self._reconnect = reconnect
        self._listen = listen
        self._events: asyncio.Queue[ClientEvent | None] = asyncio.Queue(EVENTS)
        self._unread: deque[ClientEvent] = deque()  # on their way into the queue: a lost line must not lose them
        self._answers = Answers()
        self._to_send = asyncio.Event()
        self._end: Exception | None = None
        self._running: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._retrying: asyncio.TimerHandle | None = None

    @property
    def url(self) -> str:
        """Of the server's WebSocket."""
        return self._url

    @property
    def user_id(self) -> str:
        return self._conversation.user_id

    @property
    def room_id(self) -> str | None:
        """The room that the user is in."""
        return self._conversation.room_id

    # -- what one may ask for ----------------------------------------------------------------------------------------

    async def join(self, room_id: str, *, since: int | None = None) -> messages.Joined:
        """Enter a room, leaving the one before.

        With `since`, the `seq` of the last message that is known, those after it come first, or a `Gap`.
        Raises `NotSent`, `ConnectionLost`, `TooMuchUnsent`, `NobodyReads`, and `ValueError` for what is no text.
        """
        self._check_open()
        return _as(messages.Joined, await self._answer_to(self._conversation.join(room_id, since)))

    async def leave(self) -> messages.Left:
        """Leave the room. Raises as `join`."""
        self._check_open()
        return _as(messages.Left, await self._answer_to(self._conversation.leave()))

    async def say(self, content: str) -> messages.Accepted:
        """Post to the room, once, whatever happens to the line; returns when the server has stored it.

        It also comes back among the events, like everybody else's. Calls may overlap, and keep their order. If it is
        cancelled, it is not sent any more, unless it is on its way already. Raises as `join`; after `ConnectionLost`
        nobody knows whether it has been stored.
        """
        self._check_open()
        return _as(messages.Accepted, await self._answer_to(self._conversation.post(content)))

    async def history(
        self, room_id: str | None = None, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> messages.History:
        """Some messages of a room, oldest first: the newest, or the newest before, or the oldest after a number.

        At most 200. Raises as `join`.
        """
        return _as(
            messages.History,
            await self._look_up(lambda request_id: ReadHistory(room_id, before, after, limit, request_id=request_id)),
        )

    async def members(self, room_id: str | None = None) -> messages.MemberList:
        """Who is in a room. Raises as `join`."""
        return _as(
            messages.MemberList, await self._look_up(lambda request_id: ListMembers(room_id, request_id=request_id))
        )

    async def ask(self, command: ExtensionCommand, answer: type[Extra]) -> Extra:
        """Send a command of an extension and wait for its answer, after what was asked before.

        It is carried out at most once. Raises as `join`; `Unanswered` if the line breaks before the answer comes, since
        nobody knows then whether it was carried out; `NotSent` with the extension's own `code`; and `TypeError` for an
        answer of another type. A command that has no answer is for `tell`: asked, it would be waited for for ever.
        """
        self._check_open()
        request_id = self._conversation.ask(command, answer)
        return _as(answer, await self._answer_to(request_id))

    def tell(self, command: ExtensionCommand) -> bool:
        """Send a command of an extension that has no answer, now or never: whether there is a line to send it on.

        Raises `ConnectionLost` if there will be none any more. What the server has against it comes as an `Error`.
        """
        self._check_open()
        is_sent = self._conversation.tell(command)
        self._to_send.set()
        return is_sent

    async def _look_up(self, make: Callable[[str], Command]) -> AnyMessage | Unknown:
        self._check_open()
        request_id = self._conversation.look_up(make)
        try:
            return await self._answer_to(request_id)
        finally:
            self._conversation.forget(request_id)

    async def _answer_to(self, request_id: str) -> AnyMessage | Unknown:
        self._to_send.set()
        try:
            return await self._answers.to(request_id)
        except asyncio.CancelledError:
            self._conversation.withdraw(request_id)
            self._to_send.set()
            raise

    def _check_open(self) -> None:
        if self._end is not None:
            raise self._end

    # -- what one hears ----------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[ClientEvent]:
        return self._all_events()

    async def _all_events(self) -> AsyncIterator[ClientEvent]:
        while True:
            yield await self.receive()

    async def receive(self) -> ClientEvent:
        """The next event. Raises `ConnectionLost` once it is lost for good, or `Refused`."""
        if self._end is not None and self._events.empty():
            raise self._end
        event = await self._events.get()
        if event is None:
            self._wake_reader()  # whoever else waits
            raise self._end or AssertionError("who waits is woken after the end is known")
        return event

    def _wake_reader(self) -> None:
        if self._events.empty():
            self._events.put_nowait(None)

    # -- the connections ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect and log in, once. Raises `ConnectionLost`, `Refused`."""
        if self._running is not None:
            raise RuntimeError("this client has been connected already: call open_connection() again for another")
        self._ready = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(), name=f"chat client of {self.user_id}")
        try:
            await self._ready
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connection; who waits for an answer gets `ConnectionLost`. Doing it twice changes nothing."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})  # and not for its result: our own cancellation must stay one
            if not self._running.cancelled():
                self._running.result()

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._one_connection()
                except (ConnectionLost, Refused) as error:
                    if isinstance(error, ConnectionLost) and error.code == CloseCode.TOO_BIG:
                        self._take(self._conversation.refuse_head(TOO_BIG))
                    self._take(self._conversation.disconnected())
                    pause = self._pause_after(error)
                    if pause is None:
                        raise
                    why = error.text if isinstance(error, Refused) else error.problem
                    self._unread.append(Reconnecting(pause, why))
                    await self._hand_over()
                    await asyncio.sleep(pause)
        except (ConnectionLost, Refused) as error:
            self._finish(error)
        except BaseException:
            self._finish(ConnectionLost(self._url, "the client was closed"))
            raise

    def _pause_after(self, error: ConnectionLost | Refused) -> float | None:
        is_first = self._ready is not None and not self._ready.done()
        if is_first or not self._reconnect:
            return None
        match error:
            case Refused(code=code):
                return self._backoff.next_pause() if code in PASSING else None
            case NoServer():
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
        self._wake_reader()

    async def _one_connection(self) -> None:
        socket = await self._open_socket()
        self._conversation.connected()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_all(socket))
                tasks.create_task(self._receive_all(socket))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            if self._retrying is not None:
                self._retrying.cancel()
                self._retrying = None
            await socket.aclose()

    async def _send_all(self, socket: ClientSocket) -> None:
        while True:
            self._to_send.clear()
            for text in self._conversation.to_send():
                await socket.send(text)
            await self._to_send.wait()

    async def _receive_all(self, socket: ClientSocket) -> None:
        while True:
            deadline = None if self._conversation.is_logged_in else LOGIN_WITHIN
            try:
                async with asyncio.timeout(deadline):
                    text = await socket.receive()
            except TimeoutError:
                raise ConnectionLost(self._url, f"no login within {LOGIN_WITHIN:g} s") from None
            self._take(self._conversation.receive(text))
            self._to_send.set()
            await self._hand_over()
            if self._conversation.is_settled and not self._conversation.wants_retry:
                self._backoff.succeeded()
            if self._conversation.is_logged_in and self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            if self._conversation.wants_retry and self._retrying is None:
                pause = self._backoff.next_pause()
                self._retrying = asyncio.get_running_loop().call_later(pause, self._retry)

    def _retry(self) -> None:
        self._retrying = None
        self._conversation.retry()
        self._to_send.set()

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case Done(request_id=request_id, answer=answer):
                    self._answers.give(request_id, answer)
                case NotDone(request_id=request_id, error=error):
                    self._answers.fail(request_id, NotSent(error))
                case NoAnswer(request_id=request_id, command=command, why=why):
                    self._answers.fail(request_id, Unanswered(command, why))
                case Resumed():
                    self._unread.append(Reconnected())
                case _:
                    self._unread.append(event)

    async def _hand_over(self) -> None:
        """Put what is unread where it can be read, waiting for room."""
        if not self._listen:
            self._unread.clear()
        while self._unread:
            if self._events.full() and self._answers.are_awaited and len(self._unread) < EVENTS_BEHIND:
                return  # whoever reads may be waiting for an answer that is still to come
            try:
                async with asyncio.timeout(READ_WITHIN):
                    await self._events.put(self._unread[0])
            except TimeoutError:
                self._answers.fail_all(NobodyReads(self._events.qsize()))
            else:
                self._unread.popleft()


def _as(kind: type[Answer], answer: AnyMessage | Unknown) -> Answer:
    if not isinstance(answer, kind):
        named = answer.type if isinstance(answer, Unknown) else type(answer).__name__
        raise TypeError(f"the server answered with {named!r}, which is no {kind.__name__}")
    return answer
