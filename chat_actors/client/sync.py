"""The client for programs without an event loop: scripts, notebooks, threads.

`with connect(url, identity) as chat: for message in chat.room("general"): ...`. Each call waits until it is done, and
may be made from any thread; Ctrl+C ends the waiting. The event loop runs in one thread of its own, from `connect` until
the chat is closed.
"""

from __future__ import annotations

import atexit
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from chat_actors.client import chat as async_chat
from chat_actors.client import connecting
from chat_actors.client import room as async_room
from chat_actors.client.backoff import Backoff
from chat_actors.client.connecting import usual_backoff
from chat_actors.client.events import ClientEvent
from chat_actors.client.identity import Identity
from chat_actors.client.socket import ConnectionLost
from chat_actors.protocol import ExtensionCommand, ExtensionMessage
from chat_actors.protocol import messages as wire

Extra = TypeVar("Extra", bound=ExtensionMessage)
Result = TypeVar("Result")


def connect(
    url: str,
    identity: Identity,
    *,
    messages: Iterable[type[ExtensionMessage]] = (),
    tls: ssl.SSLContext | None = None,
    reconnect: bool = True,
    backoff: Callable[[], Backoff] = usual_backoff,
) -> Chat:
    """As `chat_actors.client.connect`, for `with`; or close it with `close`."""
    chat = connecting.connect(url, identity, messages=messages, tls=tls, reconnect=reconnect, backoff=backoff)
    return Chat(chat)


def _start_loop(name: str) -> tuple[BlockingPortal, threading.Thread]:
    """An event loop in a thread that does not hold up the end of the program, as anyio's own portals do."""
    started: Future[BlockingPortal] = Future()

    async def run() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    thread = threading.Thread(target=anyio.run, args=(run,), name=name, daemon=True)
    thread.start()
    return started.result(), thread


class Chat:
    """As `chat_actors.client.Chat`."""

    def __init__(self, chat: async_chat.Chat) -> None:
        self._chat = chat
        self._portal, self._thread = _start_loop(f"chat of {chat.user_id}")
        atexit.register(self.close)  # a script that forgets to close it ends all the same

    @property
    def user_id(self) -> str:
        return self._chat.user_id

    def room(self, room_id: str, *, since: int | None = None, listen: bool = True) -> Room:
        """As `chat_actors.client.Chat.room`."""
        return Room(self._chat.room(room_id, since=since, listen=listen), self._portal)

    def close(self) -> None:
        """Close all rooms, and end the thread. Doing it twice changes nothing."""
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._portal.call(self._chat.aclose)
            self._portal.call(self._portal.stop)
            self._thread.join()

    def __enter__(self) -> Chat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Room:
    """As `chat_actors.client.Room`: `for message in room`, `for event in room.events()`, `with room`."""

    def __init__(self, room: async_room.Room, portal: BlockingPortal) -> None:
        self._room = room
        self._portal = portal

    @property
    def room_id(self) -> str:
        return self._room.room_id

    @property
    def user_id(self) -> str:
        return self._room.user_id

    def join(self) -> wire.Joined:
        """Go in, if that has not been done. Every other method does it by itself."""
        return self._wait_for(self._room.join)

    def say(self, content: str) -> wire.Accepted:
        """Post to the room, once, whatever happens to the line; returns when the server has stored it."""
        return self._wait_for(lambda: self._room.say(content))

    def history(self, *, before: int | None = None, after: int | None = None, limit: int = 50) -> wire.History:
        """At most 200 messages, oldest first: the newest, or the newest before, or the oldest after a number."""
        return self._wait_for(lambda: self._room.history(before=before, after=after, limit=limit))

    def members(self) -> wire.MemberList:
        """Who is in the room."""
        return self._wait_for(self._room.members)

    def ask(self, command: ExtensionCommand, answer: type[Extra]) -> Extra:
        """Send a command of an extension and wait for its `answer`; it is carried out at most once, or `Unanswered`."""
        return self._wait_for(lambda: self._room.ask(command, answer))

    def tell(self, command: ExtensionCommand) -> bool:
        """Send a command of an extension that has no answer, now or never; whether there is a line to send it on."""
        return self._wait_for(lambda: self._room.tell(command))

    def receive(self, timeout: float | None = None) -> ClientEvent:
        """The next event. Raises `TimeoutError` if there is none within so many seconds."""
        return self._wait_for(self._room.receive, timeout)

    def receive_message(self, timeout: float | None = None) -> wire.ChatMessage:
        """The next message, passing over all other events; a gap before it is a warning in the log.

        Raises `TimeoutError` if there is none within so many seconds.
        """
        return self._wait_for(self._room.receive_message, timeout)

    def __iter__(self) -> Iterator[wire.ChatMessage]:
        """The messages, until the room is closed."""
        return self._all(self._room.receive_message)

    def events(self) -> Iterator[ClientEvent]:
        """All that happens, until the room is closed."""
        return self._all(self._room.receive)

    def close(self) -> None:
        """Leave. Doing it twice changes nothing."""
        if not self._room.is_closed:
            self._wait_for(self._room.aclose)

    def __enter__(self) -> Room:
        self._wait_for(self._room.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _all(self, receive: Callable[[], Coroutine[Any, Any, Result]]) -> Iterator[Result]:
        while True:
            try:
                found = self._wait_for(receive)
            except ConnectionLost:
                if self._room.is_closed:
                    return
                raise
            yield found

    def _wait_for(self, call: Callable[[], Coroutine[Any, Any, Result]], timeout: float | None = None) -> Result:
        try:
            future: Future[Result] = self._portal.start_task_soon(call)
        except RuntimeError:
            raise ConnectionLost(self._room.url, "the chat was closed") from None
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()  # Ctrl+C, or too long: what nobody waits for must not take an event
            raise
