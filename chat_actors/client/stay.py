"""In which room a user is, how much of it they have heard, and the ways back that are under way."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chat_actors.protocol import Command, Join, Leave, messages


class Gap(msgspec.Struct, frozen=True):
    """Some messages of the room are missing here: they are not kept any more. `lost`: how many, None if unknown."""

    room_id: str
    lost: int | None


class Stay:
    """Pure. After a connection or a room was lost, `must_rejoin`: nothing else may be sent until it is answered.

    There may be several rejoins under way, since what seems to be refused may be on its way still. So the answer to
    each counts, by what was known at its own `since`; and one of a room that the user has left is led back from.
    """

    def __init__(self, user_id: str) -> None:
        self.room_id: str | None = None
        self.must_rejoin = False
        self._user_id = user_id
        self._position: int | None = None  # the number of the last message of the room that the user has heard
        self._known = 0  # messages heard, or told to be lost: the numbers cannot tell, they may have holes of their own
        self._known_at_position = 0
        self._rejoins: dict[str, int | None] = {}  # under way on this connection: how many were known at its `since`
        self._last_rejoin: str | None = None  # the last that was answered: what it replays may fail after that

    def connected(self) -> None:
        """A new connection: the user is in no room there."""
        self.must_rejoin = self.room_id is not None
        self._rejoins.clear()
        self._last_rejoin = None

    def enter(self, joined: messages.Joined, since: int | None) -> Sequence[Gap]:
        """The user has gone into a room, of which they know all up to `since`: what is missing before what follows.

        Rejoins that are under way lead elsewhere.
        """
        self.room_id = joined.room_id
        self._go_to(joined.seq if since is None else since)
        self.must_rejoin = bool(self._rejoins)
        return () if since is None else self._missing(joined, self._known)

    def leave(self) -> None:
        """The user has gone out of the room. Rejoins that are under way lead back into it."""
        self.room_id = self._position = None
        self.must_rejoin = bool(self._rejoins)

    def lose(self, request_id: str | None) -> None:
        """The room is lost, or the rejoin of this id has failed."""
        self._rejoins.pop(request_id or "", None)
        self.must_rejoin = self.room_id is not None or bool(self._rejoins)

    def give_up(self) -> None:
        """The room would not have the user back, and will not: from now on they are in none."""
        self.room_id = self._position = None
        self.must_rejoin = False
        self._rejoins.clear()

    def way_back(self, request_id: str) -> Command:
        """If one `must_rejoin`: the command that leads to where the user is to be, to be sent under this id."""
        if self.room_id is None:
            self.must_rejoin = False
            self._rejoins.clear()
            return Leave(request_id=request_id)
        self._rejoins[request_id] = self._known_at_position
        return Join(self._user_id, self.room_id, self._position, request_id=request_id)

    def is_rejoining(self, request_id: str) -> bool:
        """Whether a rejoin of this id is under way."""
        return request_id in self._rejoins

    def has_rejoined(self, request_id: str | None) -> bool:
        """Whether a rejoin of this id is under way, or was the last to be answered."""
        return request_id is not None and (request_id in self._rejoins or request_id == self._last_rejoin)

    def rejoined(self, request_id: str, joined: messages.Joined) -> Sequence[Gap] | None:
        """A rejoin is answered: what is missing before what follows. None: it has led to where the user is not to be,
        and if `must_rejoin`, now is the time for the `way_back`."""
        while next(iter(self._rejoins)) != request_id:
            del self._rejoins[next(iter(self._rejoins))]  # was refused
        known_at_since = self._rejoins.pop(request_id)
        if joined.room_id != self.room_id:
            return None
        self._last_rejoin = request_id
        self.must_rejoin = False
        return self._missing(joined, known_at_since)

    @property
    def is_on_the_way(self) -> bool:
        """Whether a rejoin is under way."""
        return bool(self._rejoins)

    def _missing(self, joined: messages.Joined, known_at_since: int | None) -> Sequence[Gap]:
        if joined.recovered is False and joined.lost is None:
            self._go_to(joined.seq)  # the numbers are others now, so `since` of the rest may mean anything
            self._rejoins = dict.fromkeys(self._rejoins)
            return (Gap(joined.room_id, None),)
        if known_at_since is None:
            return (Gap(joined.room_id, None),)
        # What is lost comes first after `since`; some of it may have been heard, or told, under another rejoin.
        lost = (joined.lost or 0) - (self._known - known_at_since)
        if lost <= 0:
            return ()
        self._known += lost
        return (Gap(joined.room_id, lost),)

    def hear(self, message: messages.ChatMessage) -> bool:
        """Whether a message of the room is new to the user."""
        if self._position is not None and message.seq <= self._position:
            return False
        self._known += 1
        self._go_to(message.seq)
        return True

    def _go_to(self, seq: int | None) -> None:
        """The user knows all up to here."""
        self._position, self._known_at_position = seq, self._known
