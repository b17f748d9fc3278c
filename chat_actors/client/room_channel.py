"""A room of a chat, from the first join to its end: its conversation, and its unread events."""

from __future__ import annotations

from collections.abc import Callable

from chat_actors.client.event_queue import EventQueue
from chat_actors.client.events import ClientEvent, Reconnecting
from chat_actors.client.room_conversation import RoomConversation


class RoomChannel:
    """Carries the events of one room to the program. A room whose program does not read falls behind, alone.

    Attributes:
        conversation: The room's requests.
    """

    def __init__(self, conversation: RoomConversation, on_end: Callable[[], None], *, listen: bool) -> None:
        self.conversation = conversation
        self._on_end = on_end
        self._listen = listen
        self._queue: EventQueue[ClientEvent] = EventQueue()
        self._error: Exception | None = None

    def push(self, event: ClientEvent) -> None:
        """Keep an event for the program. With too many unread, the room falls behind."""
        if self._listen:
            self._queue.push(event)
            if self._queue.is_full:
                self.conversation.fall_behind()

    def push_status(self, event: Reconnecting) -> None:
        """Keep an event that is not from the room, unless too many are unread."""
        if self._listen and not self._queue.is_full:
            self._queue.push(event)

    async def receive(self) -> ClientEvent:
        """Wait for the next event. Raises the error given to `end` after the last one."""
        return await self._queue.receive()

    @property
    def has_caught_up(self) -> bool:
        """Whether the program has read everything from before the room fell behind."""
        return self.conversation.is_behind and self._queue.is_empty

    def check_open(self) -> None:
        """Raise the error given to `end`, if the room has ended."""
        if self._error is not None:
            raise self._error

    def end(self, error: Exception) -> None:
        """End the room with an error for its later calls and, after the last event, for its reader."""
        if self._error is None:
            self._error = error
            self._queue.close(error)
            self._on_end()
