"""The core of the client, without I/O: one user's connection, and the rooms on it.

States of a connection: none, logging in (`ClientSession`), and logged in. Each room joins as soon as the user is logged
in, on its own: a room that is refused, slow or waits for a retry does not hold up the others. `RoomConversation` is one
room, and `RoomMembership` has the rules of delivery.

Routing: an answer goes to the room that sent the request, or to the queries. An event goes to the room that its
`roomId` names. A message without a `roomId` belongs to the user.

Kept over a reconnect: the rooms with their positions and commands, and the queries. What was in flight is sent again
under the same id, except extension commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client.conversation_context import ConversationContext
from chat_actors.client.conversation_events import ConversationEvent, RequestAnswered, RequestRefused, RetryNeeded
from chat_actors.client.error_codes import RATE_LIMIT_CODES, TOO_BIG, TRANSIENT_CODES
from chat_actors.client.message_decoder import MessageDecoder, UnknownMessage
from chat_actors.client.room_conversation import RoomConversation
from chat_actors.client.session import ClientSession
from chat_actors.protocol import AnyMessage, ExtensionMessage, Join, encode_command, messages

FEATURES = ("rooms",)
"""The features of the server without which this client cannot work."""


class Conversation:
    """One user's rooms, requests and events over any number of connections, without I/O.

    Call `connected` for each new connection and `disconnected` at its end. Pass every received text to `receive`. After
    any call, here or of a `RoomConversation`, send every text of `to_send` and handle the events of `take_events`.

    Attributes:
        user_id: The user.
    """

    def __init__(
        self,
        user_id: str,
        key: RSAPrivateKey,
        *,
        new_id: Callable[[], str],
        max_unanswered: int = 1000,
        extra: Iterable[type[ExtensionMessage]] = (),
    ) -> None:
        """Start without a connection.

        Args:
            user_id: The user.
            key: The user's private key.
            new_id: Returns an id of at most 64 characters that no client of this user has ever used.
            max_unanswered: Most commands of each room without an answer, and most queries of all rooms.
            extra: The extension messages to receive.

        Raises:
            ValueError: Two classes of `extra` have the same `type`.
        """
        self.user_id = user_id
        self._key = key
        self._context = ConversationContext(user_id, new_id, max_unanswered, MessageDecoder(extra))
        self._is_interrupted = False  # there was a connection, and there is none now

    @property
    def is_logged_in(self) -> bool:
        """Whether the user is logged in on the current connection."""
        return self._context.is_ready

    # -- the connection ------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """Begin a new connection with the login."""
        self._context.session = ClientSession(self.user_id, self._key, self._context.decoder, features=FEATURES)
        self._is_interrupted = False

    def disconnected(self, *, is_too_big: bool = False) -> Sequence[ConversationEvent]:
        """End the connection. Requests in flight will be sent again.

        Args:
            is_too_big: Whether the server closed the connection for a message over its limit (1009). The largest
                command in flight is then refused, because it would end the next connection too.

        Returns:
            The new events: `RequestLost` for each extension command in flight.
        """
        self._context.session = None
        if is_too_big and (largest := self._context.largest_in_flight()) is not None:
            self._on_error(msgspec.structs.replace(TOO_BIG, request_id=largest))
        self._is_interrupted = True
        self._context.queries.resume()
        for room in self._context.take_all_rooms():
            room.on_disconnect()
        return self.take_events()

    def to_send(self) -> Sequence[str]:
        """Take the texts to send now.

        Returns:
            The texts, oldest first. Each is returned once.
        """
        session = self._context.session
        return () if session is None else session.to_send()

    def take_events(self) -> Sequence[ConversationEvent]:
        """Take the new events.

        Returns:
            The events, oldest first. Each is returned once.
        """
        return self._context.take_events()

    def retry(self, room_id: str | None) -> None:
        """Send again what failed.

        Args:
            room_id: The one of the `RetryNeeded`.
        """
        if room_id is None:
            self._context.queries.resume()
            self._context.send_queries()
        elif (room := self._context.rooms.get(room_id)) is not None:
            room.retry()

    # -- the rooms -----------------------------------------------------------------------------------------------------

    def open_room(self, room_id: str, since: int | None = None) -> RoomConversation:
        """Join a room, in addition to the others.

        Args:
            room_id: The room.
            since: The `seq` of the last message that the program knows. The messages after it come first, or a `Gap`.

        Returns:
            The room. The join is answered under its `join_id`.

        Raises:
            ValueError: The room is open already, or `room_id` is not valid Unicode.
        """
        known = self._context.rooms.get(room_id)
        if known is not None and not known.is_ended:
            raise ValueError(f"the room {room_id!r} is open already: use the object that is there, or close it first")
        encode_command(Join(self.user_id, room_id))
        room = RoomConversation(room_id, since, self._context, is_interrupted=self._is_interrupted)
        self._context.rooms[room_id] = room
        room.proceed()
        return room

    # -- received messages ---------------------------------------------------------------------------------------------

    def receive(self, text: str | bytes) -> Sequence[ConversationEvent]:
        """Handle a received text.

        Args:
            text: The payload of one WebSocket message.

        Returns:
            The new events.

        Raises:
            AccessRefused: The server refused the login.
            ServerTooOld: The server does not offer several rooms on one connection.
        """
        session = self._context.session
        if session is None:
            raise RuntimeError("nothing can come before connected()")
        match session.receive(text):
            case None:
                pass
            case messages.Authenticated():
                for room in list(self._context.rooms.values()):
                    room.proceed()
            case messages.Error() as error:
                self._on_error(error)
            case message if (request_id := _answered_request(message)) is not None:
                self._on_answer(request_id, message)
            case UnknownMessage():
                pass  # from a newer server, or from an extension that the program does not know
            case event:
                self._on_event(event, text)
        return self.take_events()

    def _on_answer(self, request_id: str, answer: AnyMessage | UnknownMessage) -> None:
        room = self._context.take_sender(request_id)
        if room is not None:
            room.on_answer(request_id, answer)
        elif request_id in self._context.queries:
            self._context.queries.remove(request_id)
            self._context.report(RequestAnswered(request_id, answer))
            self._context.send_queries()
        # Otherwise, this is a second answer, to a request that was sent again.

    def _on_event(self, event: AnyMessage, text: str | bytes) -> None:
        room_id = self._context.decoder.room_id_of(event, text)
        room = None if room_id is None else self._context.rooms.get(room_id)
        if room is not None:
            room.on_event(event)
        elif room_id is None or isinstance(event, ExtensionMessage):
            self._context.report(event)

    def _on_error(self, error: messages.Error) -> None:
        if error.request_id is None and error.code == "invalid_json":  # the server could not read the id
            error = msgspec.structs.replace(error, request_id=self._context.oldest_in_flight())
        request_id = error.request_id
        room = self._context.take_sender(request_id)
        if room is not None:
            room.on_refusal(request_id or "", error)
        elif error.room_id is not None:
            if (removed_from := self._context.rooms.get(error.room_id)) is not None:
                removed_from.on_removal(error)
        elif request_id is not None:
            if request_id in self._context.queries:
                self._on_query_refused(request_id, error)
        elif error.code == "too_many_messages":  # from an older server: its refusal names no request
            self._pause_queries()
            for one in self._context.take_all_rooms():
                one.on_unnamed_refusal(error)
        else:
            self._context.report(error)

    def _on_query_refused(self, request_id: str, error: messages.Error) -> None:
        if error.code in RATE_LIMIT_CODES:
            self._pause_queries()
        elif error.code in TRANSIENT_CODES:
            if (paused := self._context.queries.pause_room_of(request_id)) is not None:
                self._context.report(RetryNeeded(paused))
        else:
            self._context.queries.remove(request_id)
            self._context.report(RequestRefused(request_id, error))
            self._context.send_queries()

    def _pause_queries(self) -> None:
        if not self._context.queries.is_paused:
            self._context.queries.is_paused = True
            self._context.report(RetryNeeded(None))


def _answered_request(message: AnyMessage | UnknownMessage) -> str | None:
    if isinstance(message, messages.Accepted):
        return message.client_msg_id or message.request_id
    request_id = getattr(message, "request_id", None)  # `UNSET` in the messages of extensions
    return request_id if isinstance(request_id, str) else None
