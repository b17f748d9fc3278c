"""What the rooms of a `Conversation` share: the connection, the requests in flight, and the events for the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chat_actors.client.conversation_events import ConversationEvent
from chat_actors.client.message_decoder import MessageDecoder
from chat_actors.client.queries import Queries
from chat_actors.client.session import ClientSession
from chat_actors.protocol import AnyCommand, ExtensionCommand, Leave, Post, encode_command

if TYPE_CHECKING:
    from chat_actors.client.room_conversation import RoomConversation

MAX_UNSENT_TEXTS = 1000
"""Texts for the socket, beyond which `tell` sends nothing: a stalled connection would collect them without a bound."""


class ConversationContext:
    """The state that the rooms of a conversation share. No I/O.

    Attributes:
        user_id: The user.
        new_id: Returns an id that no client of this user has ever used.
        max_unanswered: Most commands of each room without an answer.
        decoder: Decodes the messages of all rooms.
        queries: The queries of all rooms.
        rooms: The rooms that are open, or that the server has not let go yet. Room id → room.
        session: The current connection, if any.
    """

    def __init__(self, user_id: str, new_id: Callable[[], str], max_unanswered: int, decoder: MessageDecoder) -> None:
        self.user_id = user_id
        self.new_id = new_id
        self.max_unanswered = max_unanswered
        self.decoder = decoder
        self.queries = Queries(max_unanswered)
        self.rooms: dict[str, RoomConversation] = {}
        self.session: ClientSession | None = None
        self._in_flight: dict[str, tuple[RoomConversation | None, AnyCommand]] = {}  # oldest first; None: a query
        self._events: list[ConversationEvent] = []

    @property
    def is_ready(self) -> bool:
        """Whether the user is logged in on the current connection."""
        return self.session is not None and self.session.is_ready

    def fits(self, command: AnyCommand) -> bool:
        """Whether the server accepts a command of this size. It closes the connection after a larger one."""
        welcome = None if self.session is None else self.session.welcome
        limit = 0 if welcome is None else welcome.limits.frame_bytes
        return limit == 0 or len(encode_command(command).encode()) <= limit

    def send(self, command: AnyCommand, room: RoomConversation | None = None) -> None:
        """Send a command, if the user is logged in. The room handles its answer, unless it is a query."""
        if self.session is None or not self.session.is_ready:
            return
        self.session.send(command)
        if command.request_id is not None:
            self._in_flight.pop(command.request_id, None)
            self._in_flight[command.request_id] = room, command

    def take_sender(self, request_id: str | None) -> RoomConversation | None:
        """Return the room whose request in flight has this id. Only a room's `tell_id` may be answered again."""
        room, _ = self._in_flight.get(request_id or "", (None, None))
        if request_id is not None and (room is None or request_id != room.tell_id):
            self.drop(request_id)
        return room

    def drop(self, request_id: str) -> None:
        """Ignore the answer to a request. No effect if it is not in flight."""
        self._in_flight.pop(request_id, None)

    def remove_queries(self, room: RoomConversation) -> Sequence[str]:
        """Remove the queries of a room. Returns their ids."""
        removed = self.queries.remove_room(room)
        for request_id in removed:
            self.drop(request_id)
        return removed

    @property
    def is_stalled(self) -> bool:
        """Whether too many texts wait to be sent."""
        return self.session is not None and self.session.unsent >= MAX_UNSENT_TEXTS

    def oldest_in_flight(self) -> str | None:
        """The id of the oldest request that has no answer yet."""
        ids = (
            request_id
            for request_id, (room, _) in self._in_flight.items()
            if room is None or request_id != room.tell_id
        )
        return next(ids, None)

    @property
    def has_leaves(self) -> bool:
        """Whether the server may still count a room that a program has closed, or that has fallen behind."""
        in_flight = (command for _, command in self._in_flight.values())
        return any(isinstance(command, Leave) for command in in_flight) or any(
            room.is_ended for room in self.rooms.values()
        )

    def largest_in_flight(self) -> str | None:
        """The id of the longest post or extension command in flight."""
        sizes = {
            request_id: len(encode_command(command))
            for request_id, (room, command) in self._in_flight.items()
            if isinstance(command, Post | ExtensionCommand) and room is not None and request_id != room.tell_id
        }
        return max(sizes, key=sizes.__getitem__, default=None)

    def take_all_rooms(self) -> Sequence[RoomConversation]:
        """Return the open rooms and those with requests in flight, which will not be answered."""
        rooms = [*self.rooms.values(), *(room for room, _ in self._in_flight.values() if room is not None)]
        self._in_flight.clear()
        return list(dict.fromkeys(rooms))

    def send_queries(self) -> None:
        """Send the queries of the rooms that the user is in."""
        if self.is_ready:
            for command in self.queries.take_unsent():
                self.send(command)

    def forget(self, room: RoomConversation) -> None:
        """Remove a room that is over, unless it is open again."""
        self.drop(room.tell_id)
        if self.rooms.get(room.room_id) is room:
            del self.rooms[room.room_id]

    def report(self, event: ConversationEvent) -> None:
        """Add an event for the program."""
        self._events.append(event)

    def take_events(self) -> Sequence[ConversationEvent]:
        """Return the events for the program. Each is returned once."""
        events, self._events = self._events, []
        return events
