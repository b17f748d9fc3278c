"""How some rooms behave beyond what every room promises: the base class for kinds of room."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, ClassVar

from chat_actors.chat.command_method import Methods, Where, commands_of
from chat_actors.chat.room_handle import RoomHandle
from chat_actors.chat.store import Store


class RoomKind:
    """Base of a kind of room. One object for each life of a room: what it keeps in itself ends with a crash.

    Whatever it does, the room's order, delivery and one `user_left` for each stay are those of every room. What a
    method raises, but for `Refused`, is a crash of this room, which restarts with its members in it; a method that
    waits holds up this room and no other, for `HOOK_WITHIN` seconds at most. A method that computes for long without
    waiting holds up the whole server: that belongs into a thread.

    A room may be of kinds of several extensions: each is asked, in the order in which they are switched on. Methods
    marked with `@command` carry out the commands that members send in the room.
    """

    rooms: ClassVar[str] = ""
    """The names of its rooms, as a pattern: `*` is any text, `?` any character; of one extension's kinds the first that
    matches counts. Empty: no room is of this kind by its name."""

    chosen_as: ClassVar[str] = ""
    """The word with which a user makes a new room of this kind, by `create_room`. Empty: nobody can."""

    kept_as: ClassVar[str] = ""
    """The name of its store, if not that of its class: so that the class can be renamed."""

    room: RoomHandle
    settings: Any = None
    """The extension's own, as its struct has them."""

    @property
    def store(self) -> Store:
        """What it keeps for this room."""
        return self.room.store

    async def on_open(self) -> None:
        """The room begins, or begins again after a crash; `room.users` are here already then."""

    async def may_join(self, user_id: str) -> None:
        """Raise `Refused` to keep a user out. A question: it may be asked more than once, and change nothing."""

    def on_join(self, user_id: str) -> None:
        """A user has come: their first connection."""

    def on_leave(self, user_id: str) -> None:
        """A user has gone: their last connection."""

    def state_for(self, user_id: str) -> Any:
        """What a newcomer is told of the room: anything that is JSON, in the field `state` of `joined`, there under the
        extension's name. None: nothing. Asked just before `on_join`, while they are not in `room.users` yet."""

    async def on_post(self, user_id: str, content: str) -> str:
        """What is to be said instead of `content`; as it is, if it returns that. Raise `Refused` to say nothing."""
        return content

    @classmethod
    def matches(cls, room_id: str, settings: Any) -> bool:
        """Whether a room is of this kind by its name. Override it for a rule of another form, or of the settings."""
        return bool(cls.rooms) and fnmatchcase(room_id, cls.rooms)


def methods_of_kind(kind: type[RoomKind]) -> Methods:
    """The commands of a kind's class. Raises `BadHandler`."""
    return commands_of(kind, Where.IN_ROOM, Where.IN_ROOM)
