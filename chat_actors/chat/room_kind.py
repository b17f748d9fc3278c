"""How rooms of some names behave beyond what every room promises: the base class for kinds of room."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Protocol

from chat_actors.protocol import ExtensionMessage


class RoomView(Protocol):
    """What a kind may see of its room, and do in it."""

    @property
    def room_id(self) -> str: ...

    @property
    def users(self) -> Sequence[str]:
        """Who is here, each once, in the order in which they came."""

    def tell_all(self, message: ExtensionMessage) -> None:
        """To every connection in the room, in its place among the chat messages; never stored."""

    def tell(self, user_id: str, message: ExtensionMessage) -> None:
        """To every connection of one user in the room."""

    def remove(self, user_id: str, code: str, text: str) -> None:
        """Put a user out, all connections, after what they have said already; they get an error of this code."""


class RoomKind:
    """Base of a kind of room. One object for each life of a room: what it keeps in itself ends with a crash.

    Whatever it does, the room's order, delivery and one `user_left` for each stay are those of every room. What a
    method raises, but for `Refused`, is a crash of this room, which restarts with its members in it; a method that
    waits holds up this room and no other, for `HOOK_WITHIN` seconds at most. A method that computes for long without
    waiting holds up the whole server: that belongs into a thread.
    """

    rooms: ClassVar[str] = ""
    """The names of its rooms, as a pattern: `*` is any text, `?` any character. The first kind that matches counts."""

    room: RoomView
    settings: Any = None
    """The extension's own, as its struct has them."""

    async def on_open(self) -> None:
        """The room begins, or begins again after a crash; `room.users` are here already then."""

    async def may_join(self, user_id: str) -> None:
        """Raise `Refused` to keep a user out. A question: it may be asked more than once, and change nothing."""

    def on_join(self, user_id: str) -> None:
        """A user has come: their first connection."""

    def on_leave(self, user_id: str) -> None:
        """A user has gone: their last connection."""

    def state_for(self, user_id: str) -> Any:
        """What a newcomer is told of the room, as `state` in `joined`: anything that is JSON. None: nothing."""

    async def on_post(self, user_id: str, content: str) -> str:
        """What is to be said instead of `content`; as it is, if it returns that. Raise `Refused` to say nothing."""
        return content

    @classmethod
    def matches(cls, room_id: str) -> bool:
        """Whether a room of this name is of this kind."""
        return fnmatchcase(room_id, cls.rooms)
