"""Connects a room of the client with its view: events update the view, and the user's actions go to the room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chat_actors.cli.terminal.rooms import Closed, Connected, Disconnected, OpenRoom
from chat_actors.client import (
    ChatMessage,
    ClientError,
    ClientEvent,
    CommandRefused,
    Error,
    Gap,
    Reconnected,
    Reconnecting,
    Room,
    UserJoined,
    UserLeft,
)

FIRST_PAGE = 50
"""Messages that are loaded on joining."""

MEMBERS_INTERVAL = 1.0
"""Least seconds between two requests for the members, however many join and leave."""


class RoomController:
    """Updates the `view` of a room and executes the user's actions in it.

    `on_change()` is called when the view has changed, `on_message(view, message)` for each new message.
    """

    def __init__(
        self, room: Room, on_change: Callable[[], None], on_message: Callable[[OpenRoom, ChatMessage], None]
    ) -> None:
        self.view = OpenRoom(room.room_id)
        self._room = room
        self._on_change = on_change
        self._on_message = on_message
        self._members_changed = asyncio.Event()
        self._is_loading = False

    async def listen(self) -> None:
        """Handle events until the room is closed or its connection has ended for good."""
        try:
            await self._load(FIRST_PAGE)
            self._members_changed.set()
            async for event in self._room.events():
                self._handle(event)
                self._on_change()
        except ClientError as error:
            if not self._room.is_closed:
                self.view.connection = Closed(str(error))
                self.view.timeline.add_notice(f"{error}; /join {self.view.room_id} to rejoin", is_problem=True)
                self._on_change()

    def _handle(self, event: ClientEvent) -> None:
        timeline = self.view.timeline
        match event:
            case ChatMessage():
                if timeline.add_message(event):
                    self._on_message(self.view, event)
            case Gap():
                timeline.add_gap(event)
            case UserJoined(message=text) | UserLeft(message=text):
                timeline.add_notice(text)
                self._members_changed.set()
            case Error(message=text):
                timeline.add_notice(text, is_problem=True)
            case Reconnecting(seconds=seconds, why=why):
                self.view.connection = Disconnected(seconds, why)
            case Reconnected():
                self.view.connection = Connected()
                self._members_changed.set()
            case _:
                pass

    async def watch_members(self) -> None:
        """Keep the list of members current until the room is closed."""
        try:
            while True:
                await self._members_changed.wait()
                self._members_changed.clear()
                answer = await self._room.members()
                self.view.members, self.view.count = answer.members, answer.count
                self._on_change()
                await asyncio.sleep(MEMBERS_INTERVAL)
        except ClientError:
            pass  # `listen` reports the end of the room

    async def load_earlier(self, count: int) -> None:
        """Load up to `count` messages from before the first line."""
        try:
            await self._load(count)
        except ClientError as error:
            self.view.timeline.add_notice(f"cannot load earlier messages: {error}", is_problem=True)
            self._on_change()

    async def _load(self, count: int) -> None:
        timeline = self.view.timeline
        count = min(count, timeline.free_space)
        if self._is_loading or not timeline.has_older or not count:
            return
        self._is_loading = True
        try:
            timeline.add_history(await self._room.history(before=timeline.first_seq, limit=count))
        except CommandRefused:
            timeline.has_older = False  # the server stores no messages
        finally:
            self._is_loading = False
        self._on_change()

    async def say(self, text: str, order: int) -> bool:
        """Post the pending message `order` of the timeline. Returns whether it was stored."""
        try:
            receipt = await self._room.say(text)
        except (ClientError, ValueError) as error:
            self.view.timeline.fail(order, error.text if isinstance(error, CommandRefused) else str(error))
            return False
        else:
            self.view.timeline.confirm(order, receipt.seq)
            return True
        finally:
            self._on_change()

    async def close(self) -> None:
        """Leave the room."""
        await self._room.aclose()
        self._members_changed.set()  # wakes `watch_members`, so that it ends
