"""A user at a server, and the rooms that they are in."""

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
    """What `connect` gives. When its `async with` ends, all rooms are closed."""

    def __init__(self, user_id: str, url: str, make_client: MakeClient) -> None:
        self._user_id = user_id
        self._url = url
        self._make_client = make_client
        self._open_rooms: set[Room] = set()
        self.is_closed = False
        """Whether its end has come."""

    @property
    def user_id(self) -> str:
        return self._user_id

    def room(self, room_id: str, *, since: int | None = None, listen: bool = True) -> Room:
        """A room, which is joined over a connection of its own when it is first used. Keep it: each call gives another.

        With `since`, the `seq` of the last message that the program knows from an earlier run, it hears first what was
        said after that, or a `Gap`. With `listen` False, nothing that is said is kept to be read: for who only speaks.
        """
        return Room(room_id, since, self._make_client(listen=listen), self._admit, self._open_rooms.discard)

    def _admit(self, room: Room) -> None:
        if self.is_closed:
            raise ConnectionLost(self._url, "the chat was closed")
        self._open_rooms.add(room)

    async def aclose(self) -> None:
        """Close all rooms; who waits for an answer gets `ConnectionLost`. Doing it twice changes nothing."""
        self.is_closed = True
        await asyncio.gather(*(room.aclose() for room in list(self._open_rooms)))

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
