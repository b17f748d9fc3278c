"""A user at a server, with any number of rooms on one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from chat_actors.client.chat_connection import ChatConnection
from chat_actors.client.room import Room
from chat_actors.client.socket import ConnectionLost
from chat_actors.protocol import AnyMessage


class Chat:
    """A user at a server, as `connect` returns it. The end of its `async with` closes all rooms and the connection.

    Attributes:
        is_closed: Whether the chat has been closed.
    """

    def __init__(self, connection: ChatConnection) -> None:
        self._connection = connection
        self._rooms: dict[str, Room] = {}
        self.is_closed = False

    @property
    def user_id(self) -> str:
        """The user."""
        return self._connection.user_id

    @property
    def url(self) -> str:
        """The server's WebSocket URL."""
        return self._connection.url

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
        if room_id in self._rooms:
            raise ValueError(f"the chat has the room {room_id!r} already: use that `Room`, or close it first")
        room = Room(room_id, since, self._connection, self._forget, listen=listen)
        self._rooms[room_id] = room
        return room

    def _forget(self, room: Room) -> None:
        if self._rooms.get(room.room_id) is room:
            del self._rooms[room.room_id]

    async def receive(self) -> AnyMessage:
        """Wait for the next message that is about the user and not about an open room. Connects at the first use.

        Up to `MAX_UNREAD_EVENTS` such messages wait to be read; later ones are dropped, which is logged once.

        Returns:
            An extension message of a class that was passed to `connect`, such as a direct message or an invitation.

        Raises:
            ConnectionLost: There is no connection any more, and all messages have been read. A room opens another.
            AccessRefused: The server refused the login.
            ServerTooOld: The server is too old for this client.
        """
        return await self._connection.receive_user_event()

    async def events(self) -> AsyncIterator[AnyMessage]:
        """Iterate over the messages of `receive` until the chat is closed.

        Yields:
            The messages.

        Raises:
            ClientError: As for `receive`.
        """
        while True:
            try:
                event = await self.receive()
            except ConnectionLost:
                if self.is_closed:
                    return
                raise
            yield event

    async def aclose(self) -> None:
        """Close all rooms and the connection.

        Requests that wait for an answer raise `ConnectionLost`. Closing twice has no effect.
        """
        self.is_closed = True
        await asyncio.gather(*(room.aclose() for room in list(self._rooms.values())))
        await self._connection.aclose()

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
