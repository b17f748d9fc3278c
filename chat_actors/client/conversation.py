"""The core of the client, without I/O: one user's requests and events over any number of connections.

States of a connection: none; logging in (`ClientSession`); logged in, but the room is lost and a rejoin is unanswered;
and `can_send`, the only state in which requests are sent. `connected` and `disconnected` begin and end a connection.

Kept over a reconnect: the room and the position in it (`RoomPosition`), the unanswered commands (`CommandQueue`, one in
flight) and the unanswered queries (`Queries`). Requests in flight are sent again under the same id. A post repeats its
`clientMsgId`, by which the server stores it once. Extension commands are never sent again: they end as `RequestLost`.

Delivery: a room message at or below the position was delivered before and is dropped. A rejoin asks for the messages
after the position; those that the server no longer stores are reported as one `Gap` before the replay. So each message
of the room is delivered once and in order, or a `Gap` stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client.command_queue import CommandQueue
from chat_actors.client.conversation_events import (
    ConversationEvent,
    RequestAnswered,
    RequestLost,
    RequestRefused,
    Resumed,
)
from chat_actors.client.errors import TooMuchUnsent
from chat_actors.client.message_decoder import MessageDecoder, UnknownMessage
from chat_actors.client.queries import Queries
from chat_actors.client.room_position import RoomPosition
from chat_actors.client.session import ClientSession
from chat_actors.protocol import (
    AnyCommand,
    AnyMessage,
    Command,
    ExtensionCommand,
    ExtensionMessage,
    Join,
    Leave,
    Post,
    encode_command,
    messages,
)

TRANSIENT_CODES = frozenset(
    {
        "not_stored",
        "room_failed",
        "too_many_messages",
        "too_many_rooms",
        "internal_failure",
    }
)
"""Codes of errors after which a request may succeed later."""


class Conversation:
    """One user's requests and events over any number of connections, without I/O.

    Call `connected` for each new connection and `disconnected` at its end. Pass every received text to `receive`, and
    send every text of `to_send`, which any other call may have added to. While `needs_retry`, call `retry` after a
    pause.

    Attributes:
        user_id: The user.
        needs_retry: Whether a request failed that may succeed later.
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
            max_unanswered: Most commands without an answer, and most queries.
            extra: The extension messages to receive.

        Raises:
            ValueError: Two classes of `extra` have the same `type`.
        """
        self.user_id = user_id
        self._decoder = MessageDecoder(extra)
        self._position = RoomPosition(user_id)
        self._key = key
        self._new_id = new_id
        self._max_unanswered = max_unanswered
        self._queue = CommandQueue(max_unanswered)
        self._queries = Queries()
        self._session: ClientSession | None = None
        self._has_been_ready = False
        self.needs_retry = False

    @property
    def room_id(self) -> str | None:
        """The room that the user is in or rejoins; None outside of rooms."""
        return self._position.room_id

    @property
    def is_logged_in(self) -> bool:
        """Whether the user is logged in on the current connection."""
        return self._session is not None and self._session.is_ready

    @property
    def can_send(self) -> bool:
        """Whether the user is logged in, and no rejoin is unanswered."""
        return self.is_logged_in and not self._position.must_rejoin

    @property
    def unanswered(self) -> int:
        """How many commands have no answer yet."""
        return len(self._queue)

    # -- the connection ------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """Begin a new connection with the login."""
        self._session = ClientSession(self.user_id, self._key, self._decoder)
        self._position.connected()
        self._queue.mark_unsent()
        self.needs_retry = False

    def disconnected(self) -> Sequence[ConversationEvent]:
        """End the connection. Requests in flight will be sent again.

        Returns:
            `RequestLost` for an extension command in flight.
        """
        lost = self._drop_unrepeatable("the connection broke")
        self._session = None
        self._queue.mark_unsent()
        self.needs_retry = False
        return lost

    def to_send(self) -> Sequence[str]:
        """Take the texts to send now.

        Returns:
            The texts, oldest first. Each is returned once.
        """
        return () if self._session is None else self._session.to_send()

    def retry(self) -> None:
        """Send again what failed. No effect unless `needs_retry`."""
        if self.needs_retry and self._session is not None and self._session.is_ready:
            self.needs_retry = False
            self._rejoin_or_send_all(self._session)

    # -- requests ------------------------------------------------------------------------------------------------------

    def join(self, room_id: str, since: int | None = None) -> str:
        """Request to join a room, leaving the current one.

        Args:
            room_id: The room.
            since: The `seq` of the last message that the program knows. The messages after it come first, or a `Gap`.

        Returns:
            The request id, under which the answer comes.

        Raises:
            TooMuchUnsent: `max_unanswered` commands have no answer yet.
            ValueError: `room_id` is not valid Unicode.
        """
        request_id = self._new_id()
        return self._enqueue(request_id, Join(self.user_id, room_id, since, request_id=request_id))

    def leave(self) -> str:
        """Request to leave the room.

        Returns:
            The request id.

        Raises:
            TooMuchUnsent: `max_unanswered` commands have no answer yet.
        """
        request_id = self._new_id()
        return self._enqueue(request_id, Leave(request_id=request_id))

    def post(self, content: str) -> str:
        """Request to post a message to the room. The server stores it once, however often it is sent.

        Args:
            content: The text.

        Returns:
            The request id.

        Raises:
            TooMuchUnsent: `max_unanswered` commands have no answer yet.
            ValueError: `content` is not valid Unicode.
        """
        request_id = self._new_id()
        return self._enqueue(request_id, Post(content, client_msg_id=request_id, request_id=request_id))

    def ask(self, command: ExtensionCommand, answer: type[ExtensionMessage]) -> str:
        """Request an extension command, after the requests before it. It is sent at most once.

        Args:
            command: The command.
            answer: The class of its answer.

        Returns:
            The request id.

        Raises:
            TooMuchUnsent: `max_unanswered` commands have no answer yet.
            ValueError: Another class has the `type` of `answer`, or a string is not valid Unicode.
        """
        self._decoder.add(answer)
        request_id = self._new_id()
        return self._enqueue(request_id, msgspec.structs.replace(command, request_id=request_id))

    def tell(self, command: ExtensionCommand) -> bool:
        """Send an extension command without an answer: now, ahead of the queue, or not at all.

        Args:
            command: The command.

        Returns:
            Whether it is sent; False unless `can_send`.

        Raises:
            ValueError: A string of the command is not valid Unicode.
        """
        if not self.can_send or self._session is None:
            return False
        self._session.send(command)
        return True

    def query(self, make: Callable[[str], Command]) -> str:
        """Request something that changes nothing, so that it may be repeated and sent ahead of the queue.

        Args:
            make: Makes the command with the given request id.

        Returns:
            The request id.

        Raises:
            TooMuchUnsent: `max_unanswered` queries have no answer yet.
            ValueError: A string of the command is not valid Unicode.
        """
        if len(self._queries) >= self._max_unanswered:
            raise TooMuchUnsent(self._max_unanswered)
        request_id = self._new_id()
        command = make(request_id)
        encode_command(command)
        self._queries.add(request_id, command)
        if self.can_send and self._session is not None:
            self._send_queries(self._session)
        return request_id

    def cancel(self, request_id: str) -> None:
        """Cancel a command that has not been sent, and stop waiting for an extension command in flight.

        Args:
            request_id: The id of a command. No effect if it was answered.
        """
        if self._queue.unrepeatable_id == request_id:
            self._drop_unrepeatable("it was given up")
            self._send_next()
        self._queue.cancel(request_id)

    def cancel_query(self, request_id: str) -> None:
        """Stop waiting for the answer to a query.

        Args:
            request_id: The id of a query. No effect if it was answered.
        """
        if request_id in self._queries:
            self._remove_query(request_id)

    def fail_in_flight(self, error: messages.Error) -> Sequence[ConversationEvent]:
        """Give up the command in flight, because it ended the connection and would end the next one too.

        Args:
            error: The reason to report.

        Returns:
            `RequestRefused` with that error, if a command was in flight.
        """
        request_id = self._queue.in_flight_id
        if request_id is None:
            return ()
        self._queue.pop()
        return (RequestRefused(request_id, error),)

    def _enqueue(self, request_id: str, command: AnyCommand) -> str:
        self._queue.add(request_id, command)
        self._send_next()
        return request_id

    def _send_next(self) -> None:
        if self._session is None or not self.can_send or self.needs_retry:
            return
        command = self._queue.take_unsent()
        if command is not None:
            self._session.send(command)

    def _send_queries(self, session: ClientSession) -> None:
        for command in self._queries.take_unsent():
            session.send(command)

    def _remove_query(self, request_id: str) -> None:
        self._queries.remove(request_id)
        if self.can_send and self._session is not None and not self.needs_retry:
            self._send_queries(self._session)

    def _drop_unrepeatable(self, why: str) -> Sequence[ConversationEvent]:
        request_id = self._queue.unrepeatable_id
        return () if request_id is None else (RequestLost(request_id, type(self._queue.pop()).__name__, why),)

    # -- received messages ---------------------------------------------------------------------------------------------

    def receive(self, text: str | bytes) -> Sequence[ConversationEvent]:
        """Handle a received text.

        Args:
            text: The payload of one WebSocket message.

        Returns:
            The new events.

        Raises:
            AccessRefused: The server refused the login.
        """
        if self._session is None:
            raise RuntimeError("nothing can come before connected()")
        message = self._session.receive(text)
        match message:
            case None:
                return ()
            case messages.Authenticated():
                return self._on_logged_in(self._session)
            case messages.Joined(request_id=str(request_id)) if self._position.is_rejoin(request_id):
                return self._on_rejoined(self._session, request_id, message)
            case messages.ChatMessage() if message.room_id == self.room_id:
                return (message,) if self._position.advance(message) else ()
            case messages.Error():
                return self._on_error(message)
            case messages.Accepted():
                return self._on_answer(message.client_msg_id, message)
            case (
                messages.Joined(request_id=str(request_id))
                | messages.Left(request_id=str(request_id))
                | messages.History(request_id=str(request_id))
                | messages.MemberList(request_id=str(request_id))
            ):
                return self._on_answer(request_id, message)
            case ExtensionMessage(request_id=str(request_id)) | UnknownMessage(request_id=str(request_id)):
                is_awaited = request_id == self._queue.unrepeatable_id or request_id in self._queries
                return self._on_answer(request_id, message) if is_awaited else ()
            case UnknownMessage():
                return ()  # from a newer server, or from an extension that the program does not know
            case _:
                return (message,)

    def _on_logged_in(self, session: ClientSession) -> Sequence[ConversationEvent]:
        self._rejoin_or_send_all(session)
        return () if self._position.must_rejoin else self._resumed()

    def _rejoin_or_send_all(self, session: ClientSession) -> None:
        if self._position.must_rejoin:
            session.send(self._position.rejoin_command(self._new_id()))
        if not self._position.must_rejoin:  # a leave, unlike a rejoin, is not waited for
            self._queries.mark_all_unsent()
            self._send_queries(session)
            self._send_next()

    def _resumed(self) -> Sequence[ConversationEvent]:
        is_again, self._has_been_ready = self._has_been_ready, True
        return (Resumed(),) if is_again else ()

    def _on_rejoined(
        self, session: ClientSession, request_id: str, joined: messages.Joined
    ) -> Sequence[ConversationEvent]:
        had_to_rejoin = self._position.must_rejoin
        gaps = self._position.rejoined(request_id, joined)
        if gaps is None:
            if not self._position.has_rejoin_in_flight:
                self._rejoin_or_send_all(session)
            return ()
        if not had_to_rejoin:
            return gaps
        self._rejoin_or_send_all(session)
        return (*self._resumed(), *gaps)

    def _on_answer(self, request_id: str, answer: AnyMessage | UnknownMessage) -> Sequence[ConversationEvent]:
        command: AnyCommand | None = None
        if request_id in self._queries:
            self._remove_query(request_id)
        else:
            if self._queue.head_id != request_id:
                return ()  # a second answer, to a command that was sent again
            command = self._queue.pop()
        events: list[ConversationEvent] = [RequestAnswered(request_id, answer)]
        match answer:
            case messages.Joined():
                gaps = self._position.joined(answer, command.since if isinstance(command, Join) else None)
                events += (answer, *gaps)
            case messages.Left():
                self._position.left()
                events.append(answer)
            case _:
                pass
        self._send_next()
        return events

    def _on_error(self, error: messages.Error) -> Sequence[ConversationEvent]:
        is_of_query = error.request_id in self._queries
        is_of_head = error.request_id is not None and error.request_id == self._queue.head_id
        is_about_room = error.room_id is not None and error.room_id == self.room_id
        has_lost_room = (
            error.code == "room_closed"
            or (error.code == "not_in_room" and self.room_id is not None)
            or (is_about_room and error.code in TRANSIENT_CODES)  # the replay has failed
        )
        # The server refuses a frame over the limit without reading it, so everything in flight is sent again.
        is_over_frame_limit = error.request_id is None and error.code == "too_many_messages"
        is_of_rejoin = self._position.is_recent_rejoin(error.request_id)
        lost: Sequence[ConversationEvent] = ()
        if error.request_id != self._queue.unrepeatable_id and (is_over_frame_limit or is_of_rejoin or has_lost_room):
            lost = self._drop_unrepeatable(error.message)
        if is_about_room and not has_lost_room:
            # Removed by a decision of the server, so the client does not rejoin. With a rejoin in flight, the user is
            # not in the room any more: the answer to the rejoin decides.
            if not self._position.has_rejoin_in_flight:
                self._position.removed()
            if is_of_head:  # a join of another room, which was refused after the client had left this one
                self._queue.pop()
                self._send_next()
                return (*lost, RequestRefused(str(error.request_id), error), error)
            return (*lost, error)
        if is_of_rejoin and not has_lost_room and error.code not in TRANSIENT_CODES and self._session is not None:
            self._position.removed()
            self._rejoin_or_send_all(self._session)
            return (*lost, *self._resumed(), error)
        if is_of_rejoin or (has_lost_room and self.is_logged_in):
            self._position.lost(error.request_id)
            self._queue.mark_unsent()
            self.needs_retry = True
        elif is_over_frame_limit or (
            is_of_head and error.code in TRANSIENT_CODES and self._queue.unrepeatable_id is None
        ):
            self._queue.mark_unsent()
            self.needs_retry = True
        elif is_of_query and error.code in TRANSIENT_CODES:
            self.needs_retry = True
        elif error.request_id is None:
            return (error,)
        elif is_of_query:
            self._remove_query(error.request_id)
            return (RequestRefused(error.request_id, error),)
        elif is_of_head:
            self._queue.pop()
            self._send_next()
            return (RequestRefused(error.request_id, error),)
        return lost  # otherwise the error is a second answer, to a command that was sent again
