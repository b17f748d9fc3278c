"""A room that a user is in, over its own connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TypeVar

from chat_actors.client.chat_client import ChatClient
from chat_actors.client.errors import RemovedFromRoom
from chat_actors.client.events import ClientEvent, Gap
from chat_actors.client.socket import ConnectionLost
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, messages

logger = logging.getLogger(__name__)

Extra = TypeVar("Extra", bound=ExtensionMessage)


class Room:
    """A room with its own connection. `Chat.room` makes one.

    `async for message in room` gives each message of the room once and in order, including the user's own, over all
    connections. `room.events()` gives all other events too. Both read the same stream: an event goes to one reader
    only.

    The room is joined at its first use. `async with room` joins at once, and leaves at its end. The first connection is
    tried once; a lost connection is restored, unless the chat was made with `reconnect=False`. At most
    `MAX_UNREAD_EVENTS` events wait to be read; beyond, the client stops reading from the server.

    Every method can raise `ConnectionLost` (there is no connection any more), `AccessRefused` (the server refused the
    login), `CommandRefused` (the server refused the request, or the join at the first use) and `EventsUnread` (the
    answer is behind unread events). Reading events raises `RemovedFromRoom` once the server has removed the user.

    Attributes:
        is_closed: Whether the room or its chat has been closed.
    """

    def __init__(
        self,
        room_id: str,
        since: int | None,
        client: ChatClient,
        on_open: Callable[[Room], None],
        on_close: Callable[[Room], None],
    ) -> None:
        self._room_id = room_id
        self._since = since
        self._client = client
        self._on_open = on_open
        self._on_close = on_close
        self._join_task: asyncio.Task[messages.Joined] | None = None
        self._removal: RemovedFromRoom | None = None
        self.is_closed = False

    @property
    def room_id(self) -> str:
        """The room."""
        return self._room_id

    @property
    def url(self) -> str:
        """The server's WebSocket URL."""
        return self._client.url

    @property
    def user_id(self) -> str:
        """The user."""
        return self._client.user_id

    # -- requests ------------------------------------------------------------------------------------------------------

    async def join(self) -> messages.Joined:
        """Join the room, unless it is joined. Every other method joins as well.

        Returns:
            The server's answer to the join.

        Raises:
            ClientError: As for every method (see `Room`).
        """
        if self.is_closed:
            raise ConnectionLost(self.url, "the room was closed")
        if self._join_task is None:
            self._on_open(self)
            self._join_task = asyncio.create_task(self._connect_and_join(), name=f"joining {self._room_id}")
        if self._join_task.done() and not self._join_task.cancelled():
            return self._join_task.result()
        await asyncio.wait({self._join_task})  # unlike `await`, does not cancel the join for other callers
        if self._join_task.cancelled():
            raise ConnectionLost(self.url, "the room was closed")
        return self._join_task.result()

    async def _connect_and_join(self) -> messages.Joined:
        await self._client.start()
        try:
            return await self._client.join(self._room_id, since=self._since)
        except BaseException:
            await self._client.aclose()
            raise

    async def say(self, content: str) -> messages.Accepted:
        """Post a message, and wait until the server has stored it.

        The server stores it once, whatever happens to the connection. It is also delivered as an event, like the
        messages of other users. Concurrent calls keep their order. Cancelling the call cancels a message that is not
        in flight yet.

        Args:
            content: The text, of at most the server's limit (4,000 characters by default).

        Returns:
            The receipt, with the message's `seq` and `timestamp`.

        Raises:
            ConnectionLost: There is no connection any more; the server may have stored the message or not.
            ClientError: As for every method (see `Room`).
            TooMuchUnsent: 1,000 requests have no answer yet.
            ValueError: `content` is not valid Unicode.
        """
        await self.join()
        return await self._client.say(content)

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
            TooMuchUnsent: 1,000 requests have no answer yet.
        """
        await self.join()
        return await self._client.history(self._room_id, before=before, after=after, limit=limit)

    async def members(self) -> messages.MemberList:
        """List the members of the room.

        Returns:
            The number of members and their ids; of a very large room only some of the ids.

        Raises:
            ClientError: As for every method (see `Room`).
            TooMuchUnsent: 1,000 requests have no answer yet.
        """
        await self.join()
        return await self._client.members(self._room_id)

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
            TooMuchUnsent: 1,000 requests have no answer yet.
            TypeError: The answer has another class.
            ValueError: Another class has the `type` of `answer`, or a string is not valid Unicode.
        """
        await self.join()
        return await self._client.ask(command, answer)

    async def tell(self, command: ExtensionCommand) -> bool:
        """Send an extension command that needs no answer. Not queued. A refusal is delivered as an `Error` event.

        Args:
            command: The command.

        Returns:
            Whether it is sent; False without a connection at the moment.

        Raises:
            ClientError: As for every method (see `Room`).
            ValueError: A string of the command is not valid Unicode.
        """
        await self.join()
        return self._client.tell(command)

    # -- events --------------------------------------------------------------------------------------------------------

    async def receive(self) -> ClientEvent:
        """Wait for the next event.

        Returns:
            The event.

        Raises:
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for every method (see `Room`).
        """
        await self.join()
        if self._removal is not None:
            raise self._removal
        event = await self._client.receive()
        if isinstance(event, messages.Error) and (event.room_id == self._room_id or event.request_id is not None):
            # The error names this room, or it refuses a rejoin.
            self._removal = RemovedFromRoom(self._room_id, event.message, event.code)
        return event

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

    async def __aiter__(self) -> AsyncIterator[messages.ChatMessage]:
        """Iterate over the messages until the room is closed, with `receive_message`."""
        while True:
            try:
                message = await self.receive_message()
            except ConnectionLost:
                if self.is_closed:
                    return
                raise
            yield message

    async def events(self) -> AsyncIterator[ClientEvent]:
        """Iterate over all events until the room is closed.

        Yields:
            `ChatMessage`, `Gap`, `UserJoined`, `UserLeft`, `Joined`, `Reconnecting`, `Reconnected`, `Error`, and the
            extension messages that were passed to `connect`.

        Raises:
            RemovedFromRoom: The server has removed the user from the room.
            ClientError: As for every method (see `Room`).
        """
        while True:
            try:
                event = await self.receive()
            except ConnectionLost:
                if self.is_closed:
                    return
                raise
            yield event

    # -- the end -------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Leave the room and close its connection. Closing twice has no effect.

        Requests that wait for an answer raise `ConnectionLost`; iterations end after the events received so far.
        """
        self.is_closed = True
        if self._join_task is not None:
            self._join_task.cancel()
            await asyncio.wait({self._join_task})
            if not self._join_task.cancelled():
                self._join_task.exception()  # mark it as retrieved: the callers of `join` have received it
        await self._client.aclose()
        self._on_close(self)

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
