"""Which room a user is in, and up to which message the client has received it.

After a connection or a room is lost, `must_rejoin` is true and nothing else may be sent until a rejoin has been
answered. A rejoin is a join with `since`, the number of the last message received. The answer says how many messages
after `since` the server no longer stores.

Several rejoins can be in flight: a rejoin that seemed to fail may still be executed. Each answer is therefore compared
with what the client had received at the `since` of that rejoin, so that no gap is reported twice. A rejoin of a room
that the user has left meanwhile is undone by another join or a leave.
"""

from __future__ import annotations

from collections.abc import Sequence

from chat_actors.client.events import Gap
from chat_actors.protocol import Command, Join, Leave, messages


class RoomPosition:
    """The user's room and the position in it, kept over all connections. No I/O."""

    def __init__(self, user_id: str) -> None:
        self.room_id: str | None = None
        self.must_rejoin = False
        self._user_id = user_id
        self._position: int | None = None  # `seq` of the last message received
        # Messages received or reported as lost. `seq` cannot replace this count, because the numbers may have holes.
        self._accounted = 0
        self._accounted_at_position = 0
        self._rejoins: dict[str, int | None] = {}  # in flight, oldest first -> `_accounted` at their `since`
        self._last_rejoin: str | None = None  # the last answered rejoin: its replay may still fail

    def connected(self) -> None:
        """A new connection: on the server, the user is in no room."""
        self.must_rejoin = self.room_id is not None
        self._rejoins.clear()
        self._last_rejoin = None

    def joined(self, joined: messages.Joined, since: int | None) -> Sequence[Gap]:
        """The user joined a room at the program's request. Returns the gap after `since`.

        Rejoins in flight will move the user out of this room, so another rejoin must follow them.
        """
        self.room_id = joined.room_id
        self._move_to(joined.seq if since is None else since)
        self.must_rejoin = bool(self._rejoins)
        return () if since is None else self._gap(joined, self._accounted)

    def left(self) -> None:
        """The user left the room. Rejoins in flight will move the user back into it, so a leave must follow them."""
        self.room_id = self._position = None
        self.must_rejoin = bool(self._rejoins)

    def lost(self, request_id: str | None) -> None:
        """The room closed, or the rejoin with this id failed."""
        self._rejoins.pop(request_id or "", None)
        self.must_rejoin = self.room_id is not None or bool(self._rejoins)

    def removed(self) -> None:
        """The room refuses the user. The user is in no room, and the client does not rejoin."""
        self.room_id = self._position = None
        self.must_rejoin = False
        self._rejoins.clear()

    def rejoin_command(self, request_id: str) -> Command:
        """If `must_rejoin`: the command that moves the user to `room_id`, or out of all rooms."""
        if self.room_id is None:
            self.must_rejoin = False
            self._rejoins.clear()
            return Leave(request_id=request_id)
        self._rejoins[request_id] = self._accounted_at_position
        return Join(self._user_id, self.room_id, self._position, request_id=request_id)

    def is_rejoin(self, request_id: str) -> bool:
        """Whether a rejoin with this id is in flight."""
        return request_id in self._rejoins

    def is_recent_rejoin(self, request_id: str | None) -> bool:
        """Whether a rejoin with this id is in flight, or was the last to be answered."""
        return request_id is not None and (request_id in self._rejoins or request_id == self._last_rejoin)

    @property
    def has_rejoin_in_flight(self) -> bool:
        return bool(self._rejoins)

    def rejoined(self, request_id: str, joined: messages.Joined) -> Sequence[Gap] | None:
        """A rejoin was answered. Returns the gap before the replay.

        Returns None if the rejoin led to a room that the user has left. If `must_rejoin`, send the next
        `rejoin_command` then.
        """
        while next(iter(self._rejoins)) != request_id:
            del self._rejoins[next(iter(self._rejoins))]  # the server answers in order: this one was refused
        accounted_at_since = self._rejoins.pop(request_id)
        if joined.room_id != self.room_id:
            return None
        self._last_rejoin = request_id
        self.must_rejoin = False
        return self._gap(joined, accounted_at_since)

    def _gap(self, joined: messages.Joined, accounted_at_since: int | None) -> Sequence[Gap]:
        if joined.recovered is False and joined.lost is None:
            # The server restarted the room's numbering, so the `since` of the other rejoins in flight is meaningless.
            self._move_to(joined.seq)
            self._rejoins = dict.fromkeys(self._rejoins)
            return (Gap(joined.room_id, None),)
        if accounted_at_since is None:
            return (Gap(joined.room_id, None),)
        # The lost messages directly follow `since`. Another rejoin may have delivered or reported some of them.
        lost = (joined.lost or 0) - (self._accounted - accounted_at_since)
        if lost <= 0:
            return ()
        self._accounted += lost
        return (Gap(joined.room_id, lost),)

    def advance(self, message: messages.ChatMessage) -> bool:
        """Move to this message of the room. Returns whether it is new; if not, it was delivered before."""
        if self._position is not None and message.seq <= self._position:
            return False
        self._accounted += 1
        self._move_to(message.seq)
        return True

    def _move_to(self, seq: int | None) -> None:
        self._position, self._accounted_at_position = seq, self._accounted
