"""A room that a user is in, over a connection of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TypeVar

from chat_actors.client.chat_client import ChatClient
from chat_actors.client.events import ClientEvent, PutOut
from chat_actors.client.socket import ConnectionLost
from chat_actors.client.stay import Gap
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, messages

logger = logging.getLogger(__name__)

Extra = TypeVar("Extra", bound=ExtensionMessage)


class Room:
    """`async for message in room`: each message of the room once and in order, one's own among them, over all
    connections. `room.events()` has all else too. There is one stream: what one reader takes, another does not get.

    The room is joined at its first use; `async with` joins at once, and leaves at its end. The first connection is
    tried once; a later one is made again by itself.

    Every use raises `ConnectionLost` if there is no connection, or none any more; `Refused` if the server refuses the
    login; `NotSent` if it refuses what is asked, as to join; `PutOut` if the user has been put out of the room. What
    waits to be read is bounded (`EVENTS`): beyond, the server is not read from, and who waits for an answer behind it
    gets `NobodyReads`.
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
        self._joining: asyncio.Task[messages.Joined] | None = None
        self._put_out: PutOut | None = None
        self.is_closed = False
        """Whether it has been left, or the chat closed."""

    @property
    def room_id(self) -> str:
        return self._room_id

    @property
    def url(self) -> str:
        """Of the server's WebSocket."""
        return self._client.url

    @property
    def user_id(self) -> str:
        return self._client.user_id

    # -- what one may ask for ----------------------------------------------------------------------------------------

    async def join(self) -> messages.Joined:
        """Go in, if that has not been done: what the server said to it. Every other method does it by itself."""
        if self.is_closed:
            raise ConnectionLost(self.url, "the room was closed")
        if self._joining is None:
            self._on_open(self)
            self._joining = asyncio.create_task(self._connect_and_join(), name=f"joining {self._room_id}")
        if self._joining.done() and not self._joining.cancelled():
            return self._joining.result()
        await asyncio.wait({self._joining})  # who gives up waiting does not take it from the others who wait
        if self._joining.cancelled():
            raise ConnectionLost(self.url, "the room was closed")
        return self._joining.result()

    async def _connect_and_join(self) -> messages.Joined:
        await self._client.start()
        try:
            return await self._client.join(self._room_id, since=self._since)
        except BaseException:
            await self._client.aclose()
            raise

    async def say(self, content: str) -> messages.Accepted:
        """Post to the room, once, whatever happens to the line; returns when the server has stored it.

        It also comes back as a message, like everybody else's. Calls may overlap, and keep their order. If it is
        cancelled, it is not sent any more, unless it is on its way already. Besides what every use raises:
        `TooMuchUnsent`, and `ValueError` for what is no text. After `ConnectionLost` nobody knows whether it is stored.
        """
        await self.join()
        return await self._client.say(content)

    async def history(
        self, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> messages.History:
        """Some messages of the room, oldest first: the newest, or the newest before, or the oldest after a number.

        At most 200. Raises `TooMuchUnsent` besides.
        """
        await self.join()
        return await self._client.history(self._room_id, before=before, after=after, limit=limit)

    async def members(self) -> messages.MemberList:
        """Who is in the room. Raises `TooMuchUnsent` besides."""
        await self.join()
        return await self._client.members(self._room_id)

    async def ask(self, command: ExtensionCommand, answer: type[Extra]) -> Extra:
        """Send a command of an extension, after what was said before, and wait for its `answer`.

        It is carried out at most once: if the line breaks before the answer comes, `Unanswered` is raised, and nobody
        knows whether it was. What the extension refuses is `NotSent`, with its `code`. Besides: `TooMuchUnsent`,
        `TypeError` for an answer of another type, `ValueError` if another class has the `type` of `answer`. A command
        without an answer is for `tell`: asked, it would be waited for for ever.
        """
        await self.join()
        return await self._client.ask(command, answer)

    async def tell(self, command: ExtensionCommand) -> bool:
        """Send a command of an extension that has no answer, now or never: False if there is no line at the moment.

        What the server has against it comes as an `Error` among the events.
        """
        await self.join()
        return self._client.tell(command)

    # -- what one hears ----------------------------------------------------------------------------------------------

    async def receive(self) -> ClientEvent:
        """The next event."""
        await self.join()
        if self._put_out is not None:
            raise self._put_out
        event = await self._client.receive()
        if isinstance(event, messages.Error) and (event.room_id == self._room_id or event.request_id is not None):
            # It names this room, or was the answer to the way back into it.
            self._put_out = PutOut(self._room_id, event.message, event.code)
        return event

    async def receive_message(self) -> messages.ChatMessage:
        """The next message, passing over all other events. A `Gap` before it is a warning in the log."""
        while True:
            match await self.receive():
                case messages.ChatMessage() as message:
                    return message
                case Gap(lost=lost):
                    logger.warning("%s messages of the room %s are missing here", lost or "some", self._room_id)
                case _:
                    pass

    async def __aiter__(self) -> AsyncIterator[messages.ChatMessage]:
        """The messages, until the room is closed; `receive_message` says what becomes of all else."""
        while True:
            try:
                message = await self.receive_message()
            except ConnectionLost:
                if self.is_closed:
                    return
                raise
            yield message

    async def events(self) -> AsyncIterator[ClientEvent]:
        """All that happens, until the room is closed: `ChatMessage`, `Gap`, `UserJoined`, `UserLeft`, `Joined`,
        `Reconnecting`, `Reconnected`, `Error`, and the messages of extensions that `connect` was told of."""
        while True:
            try:
                event = await self.receive()
            except ConnectionLost:
                if self.is_closed:
                    return
                raise
            yield event

    # -- the end -----------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Leave. Who waits for an answer gets `ConnectionLost`, and who reads has read all. Twice changes nothing."""
        self.is_closed = True
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.wait({self._joining})
            if not self._joining.cancelled():
                self._joining.exception()  # whoever waited has heard of it
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
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
