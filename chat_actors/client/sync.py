"""The client for programs without an event loop: scripts, notebooks, threads.

`with connect(url, identity) as chat: for message in chat.room("general"): ...`. Every call blocks until it is done.
Calls can be made from any thread, and Ctrl+C interrupts them. The event loop runs in its own thread, from `connect`
until the chat is closed.
"""

from __future__ import annotations

import atexit
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType

import anyio
from anyio.from_thread import BlockingPortal

from chat_actors.client import chat as async_chat
from chat_actors.client import connecting
from chat_actors.client.backoff import Backoff
from chat_actors.client.connecting import default_backoff
from chat_actors.client.identity import Identity
from chat_actors.client.socket import ConnectionLost
from chat_actors.client.sync_room import Room, call_in_loop
from chat_actors.protocol import AnyMessage, ExtensionMessage

__all__ = ["Chat", "Room", "connect"]


def connect(
    url: str,
    identity: Identity,
    *,
    messages: Iterable[type[ExtensionMessage]] = (),
    tls: ssl.SSLContext | None = None,
    reconnect: bool = True,
    backoff: Callable[[], Backoff] = default_backoff,
) -> Chat:
    """Make a chat: `with connect(url, identity) as chat:`. All its rooms share one connection and one login.

    Args:
        url: The server's address: `http://`, `https://`, `ws://` or `wss://`; without a path, `/ws` is added.
        identity: The user and its key.
        messages: The extension messages to receive among the events of a room or of the chat.
        tls: Used instead of the system's trusted certificates, for a private certificate authority.
        reconnect: Whether to restore a lost connection, for as long as it takes.
        backoff: Makes a `Backoff`: one for the connection, and one for each room that must try again.

    Returns:
        The chat, not connected yet. Use `with`, or call `close`.

    Raises:
        ConnectionLost: `url` is not a URL.
        ValueError: Two of `messages` have the same `type`.
    """
    chat = connecting.connect(url, identity, messages=messages, tls=tls, reconnect=reconnect, backoff=backoff)
    return Chat(chat)


def _start_loop(name: str) -> tuple[BlockingPortal, threading.Thread]:
    """Start an event loop in a daemon thread. anyio's own portals would block the end of the program."""
    started: Future[BlockingPortal] = Future()

    async def run() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    thread = threading.Thread(target=anyio.run, args=(run,), name=name, daemon=True)
    thread.start()
    return started.result(), thread


class Chat:
    """A user at a server, as `chat_actors.client.Chat`, with blocking calls."""

    def __init__(self, chat: async_chat.Chat) -> None:
        self._chat = chat
        self._portal, self._thread = _start_loop(f"chat of {chat.user_id}")
        atexit.register(self.close)  # so that a script that does not close the chat can end

    @property
    def user_id(self) -> str:
        """The user."""
        return self._chat.user_id

    def room(self, room_id: str, *, since: int | None = None, listen: bool = True) -> Room:
        """Make a room. It is joined at its first use, on the connection that all rooms of the chat share.

        Keep the returned room: a second one with the same `room_id` can be made only after the first has ended.

        Args:
            room_id: The room, of 1 to 128 characters.
            since: The `seq` of the last message that the program knows from an earlier run. The messages after it come
                first, or a `Gap` for those that the server no longer stores.
            listen: False drops all events instead of keeping them, for a program that only posts.

        Returns:
            The room, not joined yet.

        Raises:
            ValueError: The chat has a room with this `room_id` that is neither closed nor removed nor refused.
        """
        return Room(self._chat.room(room_id, since=since, listen=listen), self._portal)

    def receive(self, timeout: float | None = None) -> AnyMessage:
        """Wait for the next message that is about the user and not about an open room.

        Args:
            timeout: Most seconds to wait; None waits without a limit.

        Returns:
            The message.

        Raises:
            TimeoutError: There was no message in time. None is lost.
            ClientError: As for `chat_actors.client.Chat.receive`.
        """
        return call_in_loop(self._portal, self._chat.url, self._chat.receive, timeout)

    def events(self) -> Iterator[AnyMessage]:
        """Iterate over the messages of `receive` until the chat is closed.

        Yields:
            The messages.

        Raises:
            ClientError: As for `chat_actors.client.Chat.receive`.
        """
        while True:
            try:
                event = self.receive()
            except ConnectionLost:
                if self._chat.is_closed:
                    return
                raise
            yield event

    def close(self) -> None:
        """Close all rooms and end the thread. Closing twice has no effect."""
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._portal.call(self._chat.aclose)
            self._portal.call(self._portal.stop)
            self._thread.join()

    def __enter__(self) -> Chat:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
