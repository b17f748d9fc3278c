"""A room on the screen: what is shown of it, and the way to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chat_actors.cli.terminal.rooms import Away, Connected, Ended, OpenRoom
from chat_actors.client import (
    ChatMessage,
    ClientError,
    ClientEvent,
    Error,
    Gap,
    NotSent,
    Reconnected,
    Reconnecting,
    Room,
    UserJoined,
    UserLeft,
)

FIRST_PAGE = 50
"""Messages that are shown on entering."""

LOOK_AGAIN_AFTER = 1.0
"""Seconds from one look at who is there to the next, however many come and go."""


class Tab:
    """Carries what happens in a room into its `view`, and what the user does into the room.

    `on_change()` is called when there is something new to draw, `on_message(view, message)` when somebody has spoken.
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
        """Until the room is closed, or there is no way to it any more."""
        try:
            await self._load(FIRST_PAGE)
            self._members_changed.set()
            async for event in self._room.events():
                self._hear(event)
                self._on_change()
        except ClientError as error:
            if not self._room.is_closed:
                self.view.line = Ended(str(error))
                self.view.timeline.note(f"{error}; /join {self.view.room_id} to come back", is_problem=True)
                self._on_change()

    def _hear(self, event: ClientEvent) -> None:
        timeline = self.view.timeline
        match event:
            case ChatMessage():
                if timeline.hear(event):
                    self._on_message(self.view, event)
            case Gap():
                timeline.miss(event)
            case UserJoined(message=text) | UserLeft(message=text):
                timeline.note(text)
                self._members_changed.set()
            case Error(message=text):
                timeline.note(text, is_problem=True)
            case Reconnecting(seconds=seconds, why=why):
                self.view.line = Away(seconds, why)
            case Reconnected():
                self.view.line = Connected()
                self._members_changed.set()
            case _:
                pass

    async def watch_members(self) -> None:
        """Keep who is there, until the room is closed."""
        try:
            while True:
                await self._members_changed.wait()
                self._members_changed.clear()
                found = await self._room.members()
                self.view.members, self.view.count = found.members, found.count
                self._on_change()
                await asyncio.sleep(LOOK_AGAIN_AFTER)
        except ClientError:
            pass  # what has ended the room is told by who listens

    async def load_earlier(self, count: int) -> None:
        """Load so many messages from before the first that is shown, if there are."""
        try:
            await self._load(count)
        except ClientError as error:
            self.view.timeline.note(f"cannot load what was said before: {error}", is_problem=True)
            self._on_change()

    async def _load(self, count: int) -> None:
        timeline = self.view.timeline
        count = min(count, timeline.room_for)
        if self._is_loading or not timeline.has_older or not count:
            return
        self._is_loading = True
        try:
            timeline.load(await self._room.history(before=timeline.first_seq, limit=count))
        except NotSent:
            timeline.has_older = False  # a server that keeps no messages
        finally:
            self._is_loading = False
        self._on_change()

    async def say(self, text: str, n: int) -> bool:
        """Say what the timeline has as `n`; whether it has been stored."""
        try:
            receipt = await self._room.say(text)
        except (ClientError, ValueError) as error:
            self.view.timeline.failed(n, error.text if isinstance(error, NotSent) else str(error))
            return False
        else:
            self.view.timeline.sent(n, receipt.seq)
            return True
        finally:
            self._on_change()

    async def close(self) -> None:
        """Leave the room."""
        await self._room.aclose()
        self._members_changed.set()  # whoever waits for that hears that the room is closed
