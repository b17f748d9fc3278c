"""Whether a user is in a room, and which messages of the room the client delivers. No I/O.

States on the current connection: OUT, JOINING (a join is unanswered), IN, and LEAVING (a leave is unanswered). The last
join or leave decides. Until it is answered, the messages of the room and the answers to earlier ones are dropped: the
replay of the join, from the position, brings the messages again. So each is delivered once and in order, or a `Gap`
stands in its place.

Behind: the program does not read the events. The room leaves on the server, keeps its position and drops its events;
`caught_up` joins from the position. If the room must send while it is behind, it joins without `since`: it stays in,
and still drops its events until `caught_up`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from chat_actors.client.conversation_context import ConversationContext
from chat_actors.client.conversation_events import RequestAnswered, RetryNeeded, RoomEvent, RoomResumed
from chat_actors.client.error_codes import ROOM_LIMIT, TRANSIENT_CODES
from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.client.room_position import RoomPosition
from chat_actors.protocol import AnyMessage, Command, Join, Leave, messages


class State(Enum):
    """The last join or leave, on the current connection."""

    OUT = auto()
    JOINING = auto()
    IN = auto()
    LEAVING = auto()


class RoomMembership:
    """The membership in a room, kept over all connections.

    Attributes:
        join_id: The request id under which the first join is answered.
        is_behind: Whether events are dropped until `caught_up`.
        is_ended: Whether the program or the server has ended the membership for good.
        must_send: Whether to be in the room although it is behind.
        needs_retry: Whether nothing is sent until a retry.
    """

    def __init__(
        self,
        room_id: str,
        since: int | None,
        context: ConversationContext,
        send: Callable[[Command], None],
        *,
        is_interrupted: bool,
    ) -> None:
        self.join_id = context.new_id()
        self.is_behind = False
        self.is_ended = False
        self.must_send = False
        self.needs_retry = False
        self._room_id = room_id
        self._context = context
        self._send = send
        self._position = RoomPosition(room_id, since)
        self._state = State.OUT
        self._last_move: str | None = None  # the id of the last join or leave
        self._had_leaves = False  # at the last join, a leave of this connection was unanswered
        self._may_be_in = False  # on the server: a refused join or leave leaves it open
        self._has_been_in = False
        self._is_interrupted = is_interrupted  # a connection broke, and no join has been answered since

    @property
    def is_in(self) -> bool:
        return self._state is State.IN

    @property
    def is_joining(self) -> bool:
        return self._state is State.JOINING

    @property
    def unanswered_join(self) -> str | None:
        """The id of the join in flight."""
        return self._last_move if self.is_joining else None

    @property
    def has_been_in(self) -> bool:
        return self._has_been_in

    @property
    def is_over(self) -> bool:
        """Whether the membership has ended, and the server knows it."""
        return self.is_ended and not self._may_be_in

    def owns(self, request_id: str) -> bool:
        """Whether this is the id of the last join or leave."""
        return request_id == self._last_move

    # -- joins and leaves ----------------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """Join or leave, if the state is not the wanted one."""
        if self.needs_retry or not self._context.is_ready:
            return
        wants_in = not self.is_ended and (not self.is_behind or self.must_send)
        if wants_in and self._state in {State.OUT, State.LEAVING}:
            self._join()
        elif not wants_in and self._may_be_in and self._state is not State.LEAVING:
            self._state, self._last_move = State.LEAVING, self._context.new_id()
            self._send(Leave(room_id=self._room_id, request_id=self._last_move))

    def _join(self) -> None:
        self._state, self._last_move = State.JOINING, self._context.new_id()
        self._may_be_in = True
        self._had_leaves = self._context.has_leaves
        since = None if self.is_behind else self._position.seq
        user_id = self._context.user_id
        self._send(Join(user_id, self._room_id, since, additional=True, request_id=self._last_move))

    def fall_behind(self, *, must_send: bool) -> None:
        """The program does not read the events: drop them from now on."""
        self.is_behind = True
        self.must_send = must_send

    def caught_up(self) -> None:
        """The program has read all events: deliver those after them."""
        self.is_behind = False
        if self._state in {State.JOINING, State.IN}:
            self._join()  # also without a pending retry, so that what arrives until the answer is dropped

    def pause(self) -> None:
        """Send nothing until a retry, since a request failed that may succeed later."""
        if not self.needs_retry:
            self.needs_retry = True
            self._context.report(RetryNeeded(self._room_id))

    # -- received messages ---------------------------------------------------------------------------------------------

    def deliver(self, message: AnyMessage) -> None:
        """Report a message of the room, unless it must be dropped."""
        if not self.is_in or self.is_behind or self.is_ended:
            return
        if not isinstance(message, messages.ChatMessage) or self._position.advance(message):
            self._context.report(RoomEvent(self._room_id, message))

    def on_answer(self, answer: AnyMessage | UnknownMessage) -> bool:
        """The last join or leave was answered. Returns False if the answer to a join cannot be read."""
        if self._state is State.LEAVING or isinstance(answer, messages.Left):
            self.lost()
        elif self._state is State.JOINING:
            if not isinstance(answer, messages.Joined):
                return False
            self._state = State.IN
            self._on_joined(answer)
        return True

    def _on_joined(self, joined: messages.Joined) -> None:
        is_first, self._has_been_in = not self._has_been_in, True
        if is_first:
            self._context.report(RequestAnswered(self.join_id, joined))
        if self.is_behind:
            return
        if self._is_interrupted:
            self._is_interrupted = False
            self._context.report(RoomResumed(self._room_id))
        if is_first:
            self._context.report(RoomEvent(self._room_id, joined))
        gap = self._position.resume(joined)
        if gap is not None:
            self._context.report(RoomEvent(self._room_id, gap))

    def on_refusal(self, error: messages.Error) -> bool:
        """The last join or leave was refused. Returns whether the server has ended the membership."""
        match self._state:
            case State.JOINING | State.LEAVING if error.code in TRANSIENT_CODES or self._is_limit_for_now(error):
                self._state = State.OUT
                self.pause()
            case State.LEAVING:
                self.lost()
            case State.JOINING:
                return True
            case _:
                pass  # lost meanwhile
        return False

    def _is_limit_for_now(self, error: messages.Error) -> bool:
        """Whether a join exceeded the limit of rooms only because the server was still handling a leave."""
        return error.code == ROOM_LIMIT and (self._had_leaves or self._context.has_leaves)

    def lost(self) -> None:
        """The user is not in the room any more."""
        self._state = State.OUT
        self._may_be_in = False

    def end(self) -> None:
        """The program or the server has ended the membership for good."""
        self.is_ended = True
        self.needs_retry = False

    def give_up_join(self) -> None:
        """Send the join again after a pause, since it has no answer."""
        if self.is_joining:
            self._state = State.OUT
            self.pause()

    def disconnected(self) -> None:
        """The connection has ended."""
        self.lost()
        self.needs_retry = False
        self._is_interrupted = True

    def on_unnamed_refusal(self) -> None:
        """The server refused a command without reading it, perhaps the join or leave in flight."""
        if self._state is not State.IN:
            self._state = State.OUT
        self.pause()
