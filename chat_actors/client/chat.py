"""A user at a server, with any number of rooms."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from chat_actors.client.chat_client import ChatClient
from chat_actors.client.room import Room
from chat_actors.client.socket import ConnectionLost


class MakeClient(Protocol):
    """Makes a client that is not connected yet."""

    def __call__(self, *, listen: bool) -> ChatClient: ...


class Chat:
    """A user at a server, as `connect` returns it. The end of its `async with` closes all rooms.

    Attributes:
        is_closed: Whether the chat has been closed.
    """

    def __init__(self, user_id: str, url: str, make_client: MakeClient) -> None:
        self._user_id = user_id
        self._url = url
        self._make_client = make_client
        self._open_rooms: set[Room] = set()
        self.is_closed = False

    @property
    def user_id(self) -> str:
        """The user."""
        return self._user_id

    def room(self, room_id: str, *, since: int | None = None, listen: bool = True) -> Room:
        """Make a room. Its connection is opened, and the room joined, at its first use.

        Every call returns another `Room` with its own connection, so keep the returned one.

        Args:
            room_id: The room, of 1 to 128 characters.
            since: The `seq` of the last message that the program knows from an earlier run. The messages after it come
                first, or a `Gap` for those that the server no longer stores.
            listen: False drops all events instead of keeping them, for a program that only posts.

        Returns:
            The room, not joined yet.
        """
        return Room(room_id, since, self._make_client(listen=listen), self._on_room_open, self._open_rooms.discard)

    def _on_room_open(self, room: Room) -> None:
        if self.is_closed:
            raise ConnectionLost(self._url, "the chat was closed")
        self._open_rooms.add(room)

    async def aclose(self) -> None:
        """Close all rooms. Requests that wait for an answer raise `ConnectionLost`. Closing twice has no effect."""
        self.is_closed = True
        await asyncio.gather(*(room.aclose() for room in list(self._open_rooms)))

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
