"""In which room a session is: one at a time, or none."""

from __future__ import annotations

from chat_actors.chat.members import Member
from chat_actors.chat.room import ROOMS, Enter, Leave, RoomMessage
from chat_actors.kernel import ActorStopped, AskFailed, Context, Ref
from chat_actors.protocol import Refusal, refusals

LEAVE_WITHIN = 10.0
"""Seconds that a session waits for a room to let it go.

A room that does not answer in time crashes the session: nobody could say any more which room it is in.
"""


class Membership:
    """The part of a session that deals with rooms."""

    __slots__ = ("_context", "room", "room_id")

    def __init__(self, context: Context) -> None:
        self._context = context
        self.room: Ref[RoomMessage] | None = None
        self.room_id = ""

    async def enter(self, room_id: str, member: Member) -> Refusal | None:
        """Go into a room, which is opened if need be. Why not, or None: then the room tells the client."""
        while True:
            try:
                room = self._context.get_or_spawn(ROOMS, room_id)
            except ActorStopped:
                return refusals.INTERNAL_FAILURE  # the server is stopping
            try:
                await room.send(Enter(member))
            except ActorStopped:
                continue  # it went away, being empty, just before: the next one is new
            if room is not self.room:
                self.forget()  # one of the same id, which failed for good while this join was on its way
            self.room, self.room_id = room, room_id
            self._context.watch(room)
            return None

    async def leave(self) -> None:
        """Go out of the room, if in one. After this nothing of that room can reach the client."""
        room = self.forget()
        if room is not None:
            try:
                # An answer and not just a message: so what the client sees after `joined` is of the new room.
                await room.ask(Leave(self._context.self_ref), timeout=LEAVE_WITHIN)
            except (ActorStopped, AskFailed):
                pass  # a room that is gone has no members

    def forget(self) -> Ref[RoomMessage] | None:
        """Be in no room, without a word to it."""
        room, self.room, self.room_id = self.room, None, ""
        if room is not None:
            self._context.unwatch(room)
        return room
