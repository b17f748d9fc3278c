"""One room of a `Conversation`: its requests and their answers. No I/O. `RoomMembership` is the state that it rests on.

Commands keep their order: one is in flight at a time, and only while the user is in the room. A post in flight when the
connection or the room is lost is sent again with its `clientMsgId`, by which the server stores it once. An extension
command in flight is never sent again: it ends as `RequestLost`. Queries are neither ordered nor lost.

The end: after `close`, no request of the room is answered. After a removal by the server, the requests are refused,
except a command in flight, whose answer still comes.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chat_actors.client.command_queue import CommandQueue
from chat_actors.client.conversation_context import ConversationContext
from chat_actors.client.conversation_events import RequestAnswered, RequestLost, RequestRefused, RoomEnded
from chat_actors.client.error_codes import NOT_JOINED_CODES, TOO_BIG, TRANSIENT_CODES, UNREADABLE
from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.client.room_membership import RoomMembership
from chat_actors.protocol import (
    AnyCommand,
    AnyMessage,
    Command,
    ExtensionCommand,
    ExtensionMessage,
    Post,
    has_own_room_id,
    messages,
)


class RoomConversation:
    """One room of a `Conversation`, without I/O. `Conversation.open_room` makes it, and joins.

    Make no requests after `close` or `RoomEnded`.

    Attributes:
        room_id: The room.
        tell_id: The request id of all commands of `tell`.
    """

    def __init__(self, room_id: str, since: int | None, context: ConversationContext, *, is_interrupted: bool) -> None:
        self.room_id = room_id
        self.tell_id = context.new_id()
        self._context = context
        self._queue = CommandQueue(context.max_unanswered)
        self._membership = RoomMembership(room_id, since, context, self._send, is_interrupted=is_interrupted)

    @property
    def join_id(self) -> str:
        """The request id under which the first join is answered."""
        return self._membership.join_id

    @property
    def is_in(self) -> bool:
        """Whether the user is in the room, so that requests are sent."""
        return self._membership.is_in

    @property
    def unanswered_join(self) -> str | None:
        """The request id of the join in flight."""
        return self._membership.unanswered_join

    @property
    def is_behind(self) -> bool:
        """Whether events are dropped until `caught_up`."""
        return self._membership.is_behind

    @property
    def is_ended(self) -> bool:
        """Whether the program or the server has ended the membership for good."""
        return self._membership.is_ended

    @property
    def unanswered(self) -> int:
        """How many commands have no answer yet."""
        return len(self._queue)

    # -- requests ------------------------------------------------------------------------------------------------------

    def post(self, content: str) -> str:
        """Request to post a message. The server stores it once, however often it is sent.

        Args:
            content: The text.

        Returns:
            The request id.

        Raises:
            TooMuchUnsent: `max_unanswered` commands have no answer yet.
            ValueError: `content` is not valid Unicode.
        """
        request_id = self._context.new_id()
        post = Post(content, client_msg_id=request_id, room_id=self.room_id, request_id=request_id)
        return self._enqueue(request_id, post)

    def ask(self, command: ExtensionCommand, answer: type[ExtensionMessage]) -> str:
        """Request an extension command, after the requests before it. It is sent at most once.

        Args:
            command: The command. Without a `room_id`, it gets that of this room.
            answer: The class of its answer.

        Returns:
            The request id.

        Raises:
            TooMuchUnsent: `max_unanswered` commands have no answer yet.
            ValueError: Another class has the `type` of `answer`, or a string is not valid Unicode.
        """
        self._context.decoder.add(answer)
        request_id = self._context.new_id()
        return self._enqueue(request_id, self._addressed(command, request_id))

    def tell(self, command: ExtensionCommand) -> bool:
        """Send an extension command without waiting for an answer: now, ahead of the queue, or not at all.

        Args:
            command: The command. Without a `room_id`, it gets that of this room.

        Returns:
            Whether it is sent; False unless the user is in the room, and while the connection is stalled. A room that
            is behind joins.

        Raises:
            ValueError: A string of the command is not valid Unicode, or it is longer than the server takes.
        """
        addressed = self._addressed(command, self.tell_id)
        if not self._context.fits(addressed):
            raise ValueError(TOO_BIG.message)
        if self.is_in and not self._context.is_stalled:
            self._send(addressed)
            return True
        self._send_soon()
        return False

    def query(self, make: Callable[[str], Command]) -> str:
        """Request something that changes nothing, so that it may be repeated and sent ahead of the queue.

        Args:
            make: Makes the command with the given request id. It must name the room.

        Returns:
            The request id.

        Raises:
            TooMuchUnsent: `max_unanswered` queries have no answer yet.
            ValueError: A string of the command is not valid Unicode.
        """
        request_id = self._context.new_id()
        self._context.queries.add(request_id, self, make(request_id))
        self._send_soon()
        return request_id

    def cancel(self, request_id: str) -> None:
        """Cancel a request that has not been sent, and stop waiting for a query or extension command in flight.

        Args:
            request_id: The id of a request. No effect if it was answered.
        """
        if request_id in self._context.queries:
            self._context.queries.remove(request_id)
            self._context.drop(request_id)
        if self._queue.unrepeatable_id == request_id:
            self._queue.pop()
            self._context.drop(request_id)
        self._queue.cancel(request_id)
        self.proceed()

    def _addressed(self, command: ExtensionCommand, request_id: str) -> ExtensionCommand:
        if has_own_room_id(type(command)):
            return msgspec.structs.replace(command, request_id=request_id)
        return msgspec.structs.replace(command, room_id=command.room_id or self.room_id, request_id=request_id)

    def _enqueue(self, request_id: str, command: AnyCommand) -> str:
        self._queue.add(request_id, command)
        self._send_soon()
        return request_id

    def _send_soon(self) -> None:
        self._membership.must_send = True
        self.proceed()

    def _send(self, command: AnyCommand) -> None:
        self._context.send(command, self)

    def proceed(self) -> None:
        """Send what can be sent now: a join, a leave, or the next command and the queries. Be forgotten at the end."""
        self._membership.proceed()
        if self._membership.is_over:
            self._context.forget(self)
        elif self.is_in and not self._membership.needs_retry:
            self._send_next()
            self._context.send_queries()

    def _send_next(self) -> None:
        while (command := self._queue.take_unsent()) is not None:
            if self._context.fits(command):
                self._send(command)
                return
            self._context.report(RequestRefused(self._queue.pop()[0], TOO_BIG))

    def retry(self) -> None:
        """Send again what failed. `Conversation.retry` calls it."""
        self._membership.needs_retry = False
        self._context.queries.resume_room(self)
        self.proceed()

    def give_up_join(self) -> None:
        """Send the join in flight again after a pause, since the answer takes too long."""
        self._membership.give_up_join()

    def fall_behind(self) -> None:
        """Drop the events from now on, because the program does not read them. Leave, unless a request waits."""
        if not self.is_behind:
            has_requests = len(self._queue) > 0 or self._context.queries.has_room(self)
            self._membership.fall_behind(must_send=has_requests)
            self.proceed()

    def caught_up(self) -> None:
        """Deliver the events again, because the program has read all. No effect unless the room is behind."""
        if self.is_behind:
            self._membership.caught_up()
            self.proceed()

    def close(self) -> None:
        """Leave the room. Its requests are not answered any more. No effect on a room that has ended."""
        if self.is_ended:
            return
        self._membership.end()
        if self._queue.in_flight_id is not None:
            self._context.drop(self._queue.in_flight_id)
        self._queue.clear()
        self._context.remove_queries(self)
        self.proceed()

    # -- called by `Conversation` --------------------------------------------------------------------------------------

    def on_event(self, message: AnyMessage) -> None:
        """A message about the room, which answers no request."""
        self._membership.deliver(message)

    def on_answer(self, request_id: str, answer: AnyMessage | UnknownMessage) -> None:
        """A request in flight was answered."""
        if request_id == self.tell_id:
            if isinstance(answer, ExtensionMessage):
                self._membership.deliver(answer)
        elif self._membership.owns(request_id):
            if not self._membership.on_answer(answer):
                self._end(UNREADABLE)
        elif request_id == self._queue.in_flight_id:
            self._queue.pop()
            self._context.report(RequestAnswered(request_id, answer))
        self.proceed()

    def on_refusal(self, request_id: str, error: messages.Error) -> None:
        """A request in flight was refused."""
        if request_id == self.tell_id:
            self._membership.deliver(error)
        elif self._membership.owns(request_id):
            if self._membership.on_refusal(error):
                self._membership.lost()
                self._end(error)
            if error.room_id is not None:  # the user was in the room until now
                self._give_up_in_flight(error.message)
        elif request_id == self._queue.in_flight_id:
            self._on_command_refused(request_id, error)
        self.proceed()

    def _on_command_refused(self, request_id: str, error: messages.Error) -> None:
        has_lost_room = error.code in NOT_JOINED_CODES and self.is_in
        may_succeed = (has_lost_room or error.code in TRANSIENT_CODES) and not self.is_ended
        if not may_succeed or self._queue.unrepeatable_id is not None:
            self._report_refusal_of_head(error, may_be_executed=self.is_ended and self._queue.is_uncertain)
            return
        if has_lost_room:
            self._membership.lost()
        self._queue.mark_unsent()
        self._membership.pause()

    def _report_refusal_of_head(self, error: messages.Error, *, may_be_executed: bool) -> None:
        request_id, command = self._queue.pop()
        lost = RequestLost(request_id, type(command).__name__, error.message)
        self._context.report(lost if may_be_executed else RequestRefused(request_id, error))

    def on_removal(self, error: messages.Error) -> None:
        """The server removed the user from the room, or could not replay it."""
        is_earlier = self._membership.is_joining or self.is_ended  # the answer to the join decides
        if error.code not in TRANSIENT_CODES and not is_earlier:
            self._membership.lost()
            self._end(error)
            return
        self._give_up_in_flight(error.message)
        if self.is_in:
            self._membership.lost()
            self._membership.pause()

    def _end(self, error: messages.Error) -> None:
        self._membership.end()
        if self._queue.is_uncertain and self._queue.in_flight_id is None:
            self._report_refusal_of_head(error, may_be_executed=True)
        refused = (*self._queue.clear_unsent(), *self._context.remove_queries(self))
        for request_id in refused if self._membership.has_been_in else (self.join_id, *refused):
            self._context.report(RequestRefused(request_id, error))
        self._context.report(RoomEnded(self.room_id, error))
        self.proceed()

    def on_disconnect(self) -> None:
        """The connection has ended. What was in flight is sent again, or lost."""
        self._give_up_in_flight("the connection broke")
        self._membership.disconnected()
        self.proceed()

    def on_unnamed_refusal(self, error: messages.Error) -> None:
        """The server refused a command without reading it: any of those in flight. Send them again."""
        self._give_up_in_flight(error.message)
        self._membership.on_unnamed_refusal()

    def _give_up_in_flight(self, why: str) -> None:
        given_up = self._queue.give_up(all_commands=self.is_ended)
        if given_up is not None:
            self._context.report(RequestLost(given_up[0], type(given_up[1]).__name__, why))
