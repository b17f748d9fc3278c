"""A logged-in client: requests and events of a `Conversation`, which a `ConnectionLoop` carries over connections.

A request waits for its answer in `PendingAnswers`, over all connections; it ends with an error when the client does. An
event waits in the `EventQueue` until the program reads it. If the program does not, the client stops reading from the
server; a request whose answer is behind unread events then fails with `EventsUnread`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from chat_actors.client.backoff import Backoff
from chat_actors.client.connection_loop import ConnectionLoop
from chat_actors.client.conversation import Conversation
from chat_actors.client.event_queue import EventQueue
from chat_actors.client.events import ClientEvent
from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.client.pending_answers import PendingAnswers
from chat_actors.client.socket import ClientSocket
from chat_actors.protocol import (
    AnyMessage,
    Command,
    ExtensionCommand,
    ExtensionMessage,
    ListMembers,
    ReadHistory,
    messages,
)

Answer = TypeVar("Answer")
Extra = TypeVar("Extra", bound=ExtensionMessage)


class ChatClient:
    """A logged-in user with one connection at a time, who is in one room at a time. `open_connection` makes one.

    `async for event in client` is one stream over all connections: each message of the room once and in order, or a
    `Gap` in its place, and `Reconnecting` and `Reconnected` in between. All queues are bounded (`MAX_UNREAD_EVENTS`).
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
        self._answers = PendingAnswers()
        self._events = EventQueue(self._answers, listen=listen)
        self._connections = ConnectionLoop(
            url, conversation, open_socket, backoff, self._answers, self._events, reconnect=reconnect
        )

    @property
    def url(self) -> str:
        """The server's WebSocket URL."""
        return self._url

    @property
    def user_id(self) -> str:
        """The user."""
        return self._conversation.user_id

    @property
    def room_id(self) -> str | None:
        """The room that the user is in; None outside of rooms."""
        return self._conversation.room_id

    # -- requests ------------------------------------------------------------------------------------------------------

    async def join(self, room_id: str, *, since: int | None = None) -> messages.Joined:
        """Join a room, leaving the current one.

        Args:
            room_id: The room, of 1 to 128 characters.
            since: The `seq` of the last message that the program knows. The messages after it come first, or a `Gap`.

        Returns:
            The server's answer, which is also an event.

        Raises:
            ConnectionLost: There is no connection any more.
            CommandRefused: The server refused the request.
            EventsUnread: The answer is behind unread events.
            TooMuchUnsent: 1,000 commands have no answer yet.
            ValueError: `room_id` is not valid Unicode.
        """
        self._connections.check_open()
        return _as(messages.Joined, await self._wait_for_answer(self._conversation.join(room_id, since)))

    async def leave(self) -> messages.Left:
        """Leave the room.

        Returns:
            The server's answer, which is also an event.

        Raises:
            ClientError: As for `join`.
        """
        self._connections.check_open()
        return _as(messages.Left, await self._wait_for_answer(self._conversation.leave()))

    async def say(self, content: str) -> messages.Accepted:
        """Post a message to the room, and wait until the server has stored it.

        The server stores it once, whatever happens to the connection. It is also delivered as an event, like the
        messages of other users. Concurrent calls keep their order. Cancelling the call cancels a message that is not
        in flight yet.

        Args:
            content: The text, of at most the server's limit (4,000 characters by default).

        Returns:
            The receipt, with the message's `seq` and `timestamp`.

        Raises:
            ConnectionLost: There is no connection any more; the server may have stored the message or not.
            ClientError: As for `join`.
            ValueError: `content` is not valid Unicode.
        """
        self._connections.check_open()
        return _as(messages.Accepted, await self._wait_for_answer(self._conversation.post(content)))

    async def history(
        self, room_id: str | None = None, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> messages.History:
        """Read stored messages of a room: the newest ones, unless `before` or `after` is given.

        Args:
            room_id: The room; by default the current one.
            before: Read the newest messages before this `seq`.
            after: Read the oldest messages after this `seq`.
            limit: Most messages to read, 1 to 200.

        Returns:
            The messages, oldest first.

        Raises:
            ClientError: As for `join`.
        """
        return _as(
            messages.History,
            await self._query(lambda request_id: ReadHistory(room_id, before, after, limit, request_id=request_id)),
        )

    async def members(self, room_id: str | None = None) -> messages.MemberList:
        """List the members of a room.

        Args:
            room_id: The room; by default the current one.

        Returns:
            The number of members and their ids; of a very large room only some of the ids.

        Raises:
            ClientError: As for `join`.
        """
        return _as(
            messages.MemberList, await self._query(lambda request_id: ListMembers(room_id, request_id=request_id))
        )

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
            ClientError: As for `join`.
            TypeError: The answer has another class.
            ValueError: Another class has the `type` of `answer`, or a string is not valid Unicode.
        """
        self._connections.check_open()
        request_id = self._conversation.ask(command, answer)
        return _as(answer, await self._wait_for_answer(request_id))

    def tell(self, command: ExtensionCommand) -> bool:
        """Send an extension command that needs no answer. Not queued. A refusal is delivered as an `Error` event.

        Args:
            command: The command.

        Returns:
            Whether it is sent; False without a connection at the moment.

        Raises:
            ConnectionLost: There is no connection any more.
            ValueError: A string of the command is not valid Unicode.
        """
        self._connections.check_open()
        is_sent = self._conversation.tell(command)
        self._connections.wake_sender()
        return is_sent

    async def _query(self, make: Callable[[str], Command]) -> AnyMessage | UnknownMessage:
        self._connections.check_open()
        request_id = self._conversation.query(make)
        try:
            return await self._wait_for_answer(request_id)
        finally:
            self._conversation.cancel_query(request_id)

    async def _wait_for_answer(self, request_id: str) -> AnyMessage | UnknownMessage:
        self._connections.wake_sender()
        try:
            return await self._answers.wait_for(request_id)
        except asyncio.CancelledError:
            self._conversation.cancel(request_id)
            self._connections.wake_sender()
            raise

    # -- events --------------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[ClientEvent]:
        return self._all_events()

    async def _all_events(self) -> AsyncIterator[ClientEvent]:
        while True:
            yield await self.receive()

    async def receive(self) -> ClientEvent:
        """Wait for the next event.

        Returns:
            The event.

        Raises:
            ConnectionLost: There is no connection any more, and all events have been read.
            AccessRefused: The server refused the login on a new connection.
        """
        return await self._events.receive()

    # -- the connection ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect and log in, with one attempt. `open_connection` calls it.

        Raises:
            ConnectionLost: There is no connection.
            AccessRefused: The server refused the login.
        """
        await self._connections.start()

    async def aclose(self) -> None:
        """Close the connection.

        Requests that wait for an answer raise `ConnectionLost`. Closing twice has no effect.
        """
        await self._connections.aclose()


def _as(cls: type[Answer], answer: AnyMessage | UnknownMessage) -> Answer:
    if not isinstance(answer, cls):
        name = answer.type if isinstance(answer, UnknownMessage) else type(answer).__name__
        raise TypeError(f"the server answered with {name!r}, which is no {cls.__name__}")
    return answer
