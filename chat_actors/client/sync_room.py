"""A room of the synchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal

from chat_actors.client import room as async_room
from chat_actors.client.events import ClientEvent
from chat_actors.client.socket import ConnectionLost
from chat_actors.protocol import ExtensionCommand, ExtensionMessage
from chat_actors.protocol import messages as wire

Extra = TypeVar("Extra", bound=ExtensionMessage)
Result = TypeVar("Result")


def call_in_loop(
    portal: BlockingPortal, url: str, call: Callable[[], Coroutine[Any, Any, Result]], timeout: float | None
) -> Result:
    """Run an async call in the event loop's thread, and wait for it."""

    async def call_in_time() -> Result:
        async with asyncio.timeout(timeout):  # in the loop: there a call either times out or consumes an event
            return await call()

    try:
        future: Future[Result] = portal.start_task_soon(call_in_time)
    except RuntimeError:
        raise ConnectionLost(url, "the chat was closed") from None
    try:
        return future.result()
    except BaseException:
        future.cancel()  # Ctrl+C: the abandoned call must not consume an event
        raise


class Room:
    """A room of a chat, as `chat_actors.client.Room`, with blocking calls.

    Use `for message in room`, `for event in room.events()` and `with room`.
    """

    def __init__(self, room: async_room.Room, portal: BlockingPortal) -> None:
        self._room = room
        self._portal = portal

    @property
    def room_id(self) -> str:
        """The room."""
        return self._room.room_id

    @property
    def user_id(self) -> str:
        """The user."""
        return self._room.user_id

    def join(self) -> wire.Joined:
        """Join the room, unless it is joined. Every other method joins as well.

        Returns:
            The server's answer to the join.

        Raises:
            ClientError: As for `chat_actors.client.Room`.
        """
        return self._wait_for(self._room.join)

    def say(self, content: str) -> wire.Accepted:
        """Post a message, and wait until the server has stored it: once, whatever happens to the connection.

        Args:
            content: The text, of at most the server's limit (4,000 characters by default).

        Returns:
            The receipt, with the message's `seq` and `timestamp`.

        Raises:
            ClientError: As for `chat_actors.client.Room.say`.
            ValueError: `content` is not valid Unicode.
        """
        return self._wait_for(lambda: self._room.say(content))

    def history(self, *, before: int | None = None, after: int | None = None, limit: int = 50) -> wire.History:
        """Read stored messages: the newest ones, unless `before` or `after` is given.

        Args:
            before: Read the newest messages before this `seq`.
            after: Read the oldest messages after this `seq`.
            limit: Most messages to read, 1 to 200.

        Returns:
            The messages, oldest first.

        Raises:
            ClientError: As for `chat_actors.client.Room`.
        """
        return self._wait_for(lambda: self._room.history(before=before, after=after, limit=limit))

    def members(self) -> wire.MemberList:
        """List the members of the room.

        Returns:
            The number of members and their ids; of a very large room only some of the ids.

        Raises:
            ClientError: As for `chat_actors.client.Room`.
        """
        return self._wait_for(self._room.members)

    def ask(self, command: ExtensionCommand, answer: type[Extra]) -> Extra:
        """Send an extension command and wait for its answer. The server executes it at most once.

        Args:
            command: The command.
            answer: The class of its answer.

        Returns:
            The answer.

        Raises:
            Unanswered: The connection was lost before the answer; the server may have executed the command or not.
            CommandRefused: The extension refused the command, with its own `code`.
            ClientError: As for `chat_actors.client.Room`.
            TypeError: The answer has another class.
            ValueError: Another class has the `type` of `answer`, or a string is not valid Unicode.
        """
        return self._wait_for(lambda: self._room.ask(command, answer))

    def tell(self, command: ExtensionCommand) -> bool:
        """Send an extension command that needs no answer. Not queued. A refusal is delivered as an `Error` event.

        Args:
            command: The command.

        Returns:
            Whether it is sent; False without a connection at the moment.

        Raises:
            ClientError: As for `chat_actors.client.Room`.
            ValueError: A string of the command is not valid Unicode.
        """
        return self._wait_for(lambda: self._room.tell(command))

    def receive(self, timeout: float | None = None) -> ClientEvent:
        """Wait for the next event.

        Args:
            timeout: Most seconds to wait; None waits without a limit.

        Returns:
            The event.

        Raises:
            TimeoutError: There was no event in time. None is lost.
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for `chat_actors.client.Room`.
        """
        return self._wait_for(self._room.receive, timeout)

    def receive_message(self, timeout: float | None = None) -> wire.ChatMessage:
        """Wait for the next message, skipping other events. A skipped `Gap` is logged as a warning.

        Args:
            timeout: Most seconds to wait; None waits without a limit.

        Returns:
            The message.

        Raises:
            TimeoutError: There was no message in time. None is lost.
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for `chat_actors.client.Room`.
        """
        return self._wait_for(self._room.receive_message, timeout)

    def __iter__(self) -> Iterator[wire.ChatMessage]:
        """Iterate over the messages until the room is closed."""
        return self._iterate(self._room.receive_message)

    def events(self) -> Iterator[ClientEvent]:
        """Iterate over all events until the room is closed.

        Yields:
            The events, as for `chat_actors.client.Room.events`.

        Raises:
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for `chat_actors.client.Room`.
        """
        return self._iterate(self._room.receive)

    def close(self) -> None:
        """Leave the room. Closing twice has no effect."""
        if not self._room.is_closed:
            self._wait_for(self._room.aclose)

    def __enter__(self) -> Room:
        self._wait_for(self._room.__aenter__)
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _iterate(self, receive: Callable[[], Coroutine[Any, Any, Result]]) -> Iterator[Result]:
        while True:
            try:
                event = self._wait_for(receive)
            except ConnectionLost:
                if self._room.is_closed:
                    return
                raise
            yield event

    def _wait_for(self, call: Callable[[], Coroutine[Any, Any, Result]], timeout: float | None = None) -> Result:
        return call_in_loop(self._portal, self._room.url, call, timeout)
