"""A room that a user is in, on the connection of its chat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import TypeVar

from chat_actors.client.chat_connection import ChatConnection
from chat_actors.client.events import ClientEvent, Gap
from chat_actors.client.room_channel import RoomChannel
from chat_actors.client.socket import ConnectionLost
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, ListMembers, ReadHistory, messages

logger = logging.getLogger(__name__)

Extra = TypeVar("Extra", bound=ExtensionMessage)
Event = TypeVar("Event")


class Room:
    """A room on the connection of its chat. `Chat.room` makes one.

    `async for message in room` gives each message of the room once and in order, including the user's own, over all
    connections. `room.events()` gives all other events too. Both read the same stream: an event goes to one reader
    only.

    The room is joined at its first use. `async with room` joins at once, and leaves at its end. The first connection of
    the chat is tried once; a lost connection is restored, unless the chat was made with `reconnect=False`. At most
    `MAX_UNREAD_EVENTS` events wait to be read; beyond, the client leaves the room, and rejoins when all have been read.
    The messages in between follow then, or a `Gap`. Other rooms are not affected.

    Every method can raise `ConnectionLost` (there is no connection any more), `AccessRefused` (the server refused the
    login), `ServerTooOld`, `CommandRefused` (the server refused the request, or the join at the first use) and
    `RemovedFromRoom` (the server has removed the user).

    Attributes:
        is_closed: Whether the room or its chat has been closed.
    """

    def __init__(
        self,
        room_id: str,
        since: int | None,
        connection: ChatConnection,
        on_end: Callable[[Room], None],
        *,
        listen: bool,
    ) -> None:
        self._room_id = room_id
        self._since = since
        self._connection = connection
        self._on_end = on_end
        self._listen = listen
        self._join_task: asyncio.Task[tuple[messages.Joined, RoomChannel]] | None = None
        self._channel: RoomChannel | None = None
        self.is_closed = False

    @property
    def room_id(self) -> str:
        """The room."""
        return self._room_id

    @property
    def url(self) -> str:
        """The server's WebSocket URL."""
        return self._connection.url

    @property
    def user_id(self) -> str:
        """The user."""
        return self._connection.user_id

    async def join(self) -> messages.Joined:
        """Join the room, unless it is joined. Every other method joins as well.

        Returns:
            The server's answer to the join.

        Raises:
            ClientError: As for every method (see `Room`).
        """
        joined, _ = await self._join_once(check_open=True)
        return joined

    async def _join_once(self, *, check_open: bool) -> tuple[messages.Joined, RoomChannel]:
        if self._join_task is None and not self.is_closed:
            self._join_task = asyncio.create_task(self._join(), name=f"joining {self._room_id}")
            self._join_task.add_done_callback(_retrieve_error)
        if self._join_task is not None and not self._join_task.done():
            await asyncio.wait({self._join_task})  # unlike `await`, does not cancel the join for other callers
        if self._join_task is None or self._join_task.cancelled():
            raise ConnectionLost(self.url, "the room was closed")
        joined, channel = self._join_task.result()
        if check_open:
            channel.check_open()
        return joined, channel

    async def _join(self) -> tuple[messages.Joined, RoomChannel]:
        try:
            await self._connection.start()
            self._channel = channel = self._connection.open_room(
                self._room_id, self._since, lambda: self._on_end(self), listen=self._listen
            )
            return await self._connection.request(channel.conversation.join_id, channel, messages.Joined), channel
        except BaseException:
            self._close_channel()
            raise

    async def say(self, content: str) -> messages.Accepted:
        """Post a message, and wait until the server has stored it.

        The server stores it once, whatever happens to the connection. It is also delivered as an event, like others'
        messages. Concurrent calls keep their order. Cancelling the call cancels a message that is not in flight yet.

        Args:
            content: The text, of at most the server's limit (4,000 characters by default).

        Returns:
            The receipt, with the message's `seq` and `timestamp`.

        Raises:
            ConnectionLost: There is no connection any more; the server may have stored the message or not.
            ClientError: As for every method (see `Room`).
            TooMuchUnsent: 1,000 requests of the room have no answer yet.
            ValueError: `content` is not valid Unicode.
        """
        _, channel = await self._join_once(check_open=True)
        return await self._connection.request(channel.conversation.post(content), channel, messages.Accepted)

    async def history(
        self, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> messages.History:
        """Read stored messages: the newest ones, unless `before` or `after` is given.

        Args:
            before: Read the newest messages before this `seq`.
            after: Read the oldest messages after this `seq`.
            limit: Most messages to read, 1 to 200.

        Returns:
            The messages, oldest first.

        Raises:
            ClientError: As for every method (see `Room`).
            TooMuchUnsent: 1,000 requests of the room have no answer yet.
        """
        _, channel = await self._join_once(check_open=True)
        query = channel.conversation.query(
            lambda request_id: ReadHistory(self._room_id, before, after, limit, request_id=request_id)
        )
        return await self._connection.request(query, channel, messages.History)

    async def members(self) -> messages.MemberList:
        """List the members of the room.

        Returns:
            The number of members and their ids; of a very large room only some of the ids.

        Raises:
            ClientError: As for every method (see `Room`).
            TooMuchUnsent: 1,000 requests of the room have no answer yet.
        """
        _, channel = await self._join_once(check_open=True)
        query = channel.conversation.query(lambda request_id: ListMembers(self._room_id, request_id=request_id))
        return await self._connection.request(query, channel, messages.MemberList)

    async def ask(self, command: ExtensionCommand, answer: type[Extra]) -> Extra:
        """Send an extension command, after the requests before it, and wait for its answer.

        The server executes it at most once. Use `tell` for a command without an answer: `ask` would never return.

        Args:
            command: The command.
            answer: The class of its answer.

        Returns:
            The answer.

        Raises:
            Unanswered: The connection was lost before the answer; the server may have executed the command or not.
            CommandRefused: The extension refused the command, with its own `code`.
            ClientError: As for every method (see `Room`).
            TooMuchUnsent: 1,000 requests of the room have no answer yet.
            TypeError: The answer has another class.
            ValueError: Another class has the `type` of `answer`, or a string is not valid Unicode.
        """
        _, channel = await self._join_once(check_open=True)
        return await self._connection.request(channel.conversation.ask(command, answer), channel, answer)

    async def tell(self, command: ExtensionCommand) -> bool:
        """Send an extension command that needs no answer. Not queued. A refusal is delivered as an `Error` event.

        Args:
            command: The command.

        Returns:
            Whether it is sent; False while there is no connection, or while it takes no more texts.

        Raises:
            ClientError: As for every method (see `Room`).
            ValueError: A string of the command is not valid Unicode.
        """
        _, channel = await self._join_once(check_open=True)
        is_sent = channel.conversation.tell(command)
        self._connection.flush()
        return is_sent

    async def receive(self) -> ClientEvent:
        """Wait for the next event.

        Returns:
            The event.

        Raises:
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for every method (see `Room`).
        """
        _, channel = await self._join_once(check_open=False)
        return await self._connection.receive(channel)

    async def receive_message(self) -> messages.ChatMessage:
        """Wait for the next message, skipping other events. A skipped `Gap` is logged as a warning.

        Returns:
            The message.

        Raises:
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for every method (see `Room`).
        """
        while True:
            match await self.receive():
                case messages.ChatMessage() as message:
                    return message
                case Gap(lost=lost):
                    logger.warning("%s messages of the room %s are missing here", lost or "some", self._room_id)
                case _:
                    pass

    def __aiter__(self) -> AsyncIterator[messages.ChatMessage]:
        """Iterate over the messages until the room is closed, with `receive_message`."""
        return self._iterate(self.receive_message)

    def events(self) -> AsyncIterator[ClientEvent]:
        """Iterate over all events until the room is closed.

        Returns:
            An iterator over `ChatMessage`, `Gap`, `UserJoined`, `UserLeft`, `Joined`, `Reconnecting`, `Reconnected`,
            `Error`, and the extension messages about the room, of the classes that were passed to `connect`.

        Raises:
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for every method (see `Room`).
        """
        return self._iterate(self.receive)

    async def _iterate(self, receive: Callable[[], Awaitable[Event]]) -> AsyncIterator[Event]:
        while True:
            try:
                event = await receive()
            except ConnectionLost:
                if self.is_closed:
                    return
                raise
            yield event

    async def aclose(self) -> None:
        """Leave the room. Closing twice has no effect.

        Requests that wait for an answer raise `ConnectionLost`; iterations end after the events received so far.
        """
        self.is_closed = True
        if self._join_task is not None:
            self._join_task.cancel()
            await asyncio.wait({self._join_task})
        self._close_channel()

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._connection.close_room(self._channel, ConnectionLost(self.url, "the room was closed"))
        self._on_end(self)

    async def __aenter__(self) -> Room:
        try:
            await self.join()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _retrieve_error(task: asyncio.Task[object]) -> None:
    """Mark the error of a task as retrieved, since its callers may have stopped waiting."""
    if not task.cancelled():
        task.exception()
