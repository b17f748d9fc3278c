"""The one connection of a chat, which all its rooms share.

A `ConnectionLoop` carries the `Conversation`. Its events go to where they belong: an answer to the task that waits for
it, an event of a room to its `RoomChannel`, and a message to the user to a queue of the chat. The connection is opened
at the first use, and again at the first use after it has ended for good; its end ends all open rooms.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from chat_actors.client.backoff import Backoff
from chat_actors.client.connection_loop import ConnectionLoop
from chat_actors.client.conversation import Conversation
from chat_actors.client.conversation_events import (
    ConversationEvent,
    RequestAnswered,
    RequestLost,
    RequestRefused,
    RetryNeeded,
    RoomEnded,
    RoomEvent,
    RoomResumed,
)
from chat_actors.client.errors import CommandRefused, RemovedFromRoom, Unanswered
from chat_actors.client.event_queue import MAX_UNREAD_EVENTS, EventQueue
from chat_actors.client.events import ClientEvent, Reconnected, Reconnecting
from chat_actors.client.join_timers import JoinTimers
from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.client.pending_answers import PendingAnswers
from chat_actors.client.retry_timers import RetryTimers
from chat_actors.client.room_channel import RoomChannel
from chat_actors.client.socket import ClientSocket, ConnectionLost
from chat_actors.protocol import AnyMessage

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class ChatConnection:
    """Opens and closes the rooms of a chat, sends their requests, and delivers answers and events."""

    def __init__(
        self,
        url: str,
        conversation: Conversation,
        open_socket: Callable[[], Awaitable[ClientSocket]],
        make_backoff: Callable[[], Backoff],
        *,
        reconnect: bool,
    ) -> None:
        self.url = url
        self._conversation = conversation
        self._open_socket = open_socket
        self._make_backoff = make_backoff
        self._reconnect = reconnect
        self._answers = PendingAnswers()
        self._channels: dict[str, RoomChannel] = {}
        self._retries = RetryTimers(self._retry, make_backoff)
        self._joins = JoinTimers(self.flush)
        self._user_events: EventQueue[AnyMessage] = EventQueue()
        self._has_dropped_events = False
        self._loop: ConnectionLoop | None = None
        self._has_connected = False
        self._is_closed = False

    @property
    def user_id(self) -> str:
        return self._conversation.user_id

    # -- the connection ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect and log in, with one attempt, unless there is a connection or it is being restored."""
        if self._is_closed:
            raise ConnectionLost(self.url, "the chat was closed")
        if self._loop is None or self._loop.has_ended:
            self._user_events.reopen()
            self._loop = ConnectionLoop(
                self.url, self._conversation, self._open_socket, self._make_backoff(), self, reconnect=self._reconnect
            )
        await self._loop.wait_until_ready()
        self._has_connected = True

    async def aclose(self) -> None:
        """Close the connection. The open rooms end. Closing twice has no effect."""
        self._is_closed = True
        if self._loop is not None:
            await self._loop.aclose()
        self._user_events.close(ConnectionLost(self.url, "the chat was closed"))

    def flush(self) -> None:
        """Send what the conversation has to send, and deliver its new events."""
        self.on_events(self._conversation.take_events())
        if self._loop is not None:
            self._loop.wake_sender()

    def _retry(self, room_id: str | None) -> None:
        self._conversation.retry(room_id)
        self.flush()

    # -- the rooms -----------------------------------------------------------------------------------------------------

    def open_room(self, room_id: str, since: int | None, on_end: Callable[[], None], *, listen: bool) -> RoomChannel:
        """Join a room. Raises `ValueError` if `room_id` is not valid Unicode."""
        channel = RoomChannel(self._conversation.open_room(room_id, since), on_end, listen=listen)
        self._channels[room_id] = channel
        return channel

    def close_room(self, channel: RoomChannel, error: Exception) -> None:
        """Leave a room. Its requests and, after the last event, its reader get the error."""
        room = channel.conversation
        room.close()
        if self._channels.get(room.room_id) is channel:
            del self._channels[room.room_id]
        self._retries.succeeded(room.room_id)
        self._answers.fail_all_of(room, error)
        channel.end(error)
        self._joins.watch(room)
        self.flush()

    async def request(self, request_id: str, channel: RoomChannel, answer_type: type[Answer]) -> Answer:
        """Wait for the answer to a request of the room. A cancellation cancels the request."""
        future = self._answers.expect(request_id, channel.conversation)
        self.flush()
        try:
            answer = await future
        except asyncio.CancelledError:
            channel.conversation.cancel(request_id)
            self.flush()
            raise
        finally:
            self._answers.forget(request_id)
        return _as(answer_type, answer)

    async def receive(self, channel: RoomChannel) -> ClientEvent:
        """Wait for the next event of a room."""
        event = await channel.receive()
        if channel.has_caught_up:
            channel.conversation.caught_up()
            self.flush()
        return event

    async def receive_user_event(self) -> AnyMessage:
        """Wait for the next message to the user that is about no open room. Connects at the first use."""
        if not self._has_connected:  # later, the end of the connection is an error, which its reader must not miss
            await self.start()
        return await self._user_events.receive()

    # -- what the connection loop reports ------------------------------------------------------------------------------

    def on_events(self, events: Sequence[ConversationEvent]) -> None:
        """Deliver the events of the conversation."""
        for event in events:
            match event:
                case RequestAnswered(request_id=request_id, answer=answer):
                    self._retries.succeeded(None)
                    self._answers.resolve(request_id, answer)
                case RequestRefused(request_id=request_id, error=error):
                    self._answers.fail(request_id, CommandRefused(error))
                case RequestLost(request_id=request_id, command=command, why=why):
                    self._answers.fail(request_id, Unanswered(command, why))
                case RoomEvent(room_id=room_id, event=room_event):
                    self._retries.succeeded(room_id)
                    self._push(room_id, room_event)
                case RoomResumed(room_id=room_id):
                    self._push(room_id, Reconnected())
                case RoomEnded():
                    self._on_room_ended(event)
                case RetryNeeded(room_id=retry_id):
                    self._retries.start(retry_id)
                case _:
                    self._push_user_event(event)
        for channel in self._channels.values():
            self._joins.watch(channel.conversation)

    def _push(self, room_id: str, event: ClientEvent) -> None:
        if (channel := self._channels.get(room_id)) is not None:
            channel.push(event)

    def _on_room_ended(self, ended: RoomEnded) -> None:
        self._retries.succeeded(ended.room_id)
        if (channel := self._channels.pop(ended.room_id, None)) is not None:
            self._joins.watch(channel.conversation)
            channel.push(ended.error)
            channel.end(RemovedFromRoom(ended.room_id, ended.error.message, ended.error.code))

    def _push_user_event(self, event: AnyMessage) -> None:
        if not self._user_events.is_full:
            self._user_events.push(event)
        elif not self._has_dropped_events:
            self._has_dropped_events = True
            logger.warning("%s events of the chat are unread, so later ones are dropped", MAX_UNREAD_EVENTS)

    def on_reconnecting(self, event: Reconnecting) -> None:
        """Tell every open room that the connection is being restored."""
        self._retries.cancel_all()
        for channel in self._channels.values():
            channel.push_status(event)

    def on_end(self, error: Exception) -> None:
        """End the open rooms, since there will be no connection any more."""
        self._retries.cancel_all()
        for channel in list(self._channels.values()):
            self.close_room(channel, error)
        self._user_events.close(error)


def _as(cls: type[Answer], answer: AnyMessage | UnknownMessage) -> Answer:
    if not isinstance(answer, cls):
        name = answer.type if isinstance(answer, UnknownMessage) else type(answer).__name__
        raise TypeError(f"the server answered with {name!r}, which is no {cls.__name__}")
    return answer
