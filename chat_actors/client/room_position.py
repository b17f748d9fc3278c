"""Up to which message of a room the client has received it.

While a join is unanswered, the client drops every message of the room: the replay of the join brings them again. So the
position does not move between a join and its answer, and `lost` in the answer counts from the position.
"""

from __future__ import annotations

from chat_actors.client.events import Gap
from chat_actors.protocol import messages


class RoomPosition:
    """The position in a room, kept over all joins. No I/O.

    Attributes:
        seq: Number of the last message received; None before the first join without `since`.
    """

    def __init__(self, room_id: str, since: int | None) -> None:
        self.seq = since
        self._room_id = room_id
        self._reported = 0  # lost messages directly after `seq` that a gap has reported

    def resume(self, joined: messages.Joined) -> Gap | None:
        """A join from this position was answered. Returns the gap before the replay."""
        if self.seq is None:
            self.seq = joined.seq
            return None
        if joined.recovered is False and joined.lost is None:  # the server restarted the room's numbering
            self.seq, self._reported = joined.seq, 0
            return Gap(self._room_id, None)
        lost = (joined.lost or 0) - self._reported
        if lost <= 0:
            return None
        self._reported += lost
        return Gap(self._room_id, lost)

    def advance(self, message: messages.ChatMessage) -> bool:
        """Move to this message of the room. Returns whether it is new; if not, it was delivered before."""
        if self.seq is not None and message.seq <= self.seq:
            return False
        self.seq, self._reported = message.seq, 0
        return True
