"""The base class of room kinds: behavior that some rooms have in addition to that of every room."""

from __future__ import annotations

from collections.abc import Awaitable
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from chat_actors.chat.command_method import Methods, Where, commands_of
from chat_actors.chat.removed_user import RemovedUser
from chat_actors.chat.room_handle import RoomHandle
from chat_actors.chat.store import Store


class RoomKind:
    """Base class of room kinds: hooks for joins and posts, and commands of the room's members.

    Each hook may be plain or `async`, except `matches`. While an `async` hook awaits, the room handles no message.

    There is one object for each incarnation of a room, made without arguments; its own attributes are lost in a crash.
    No room kind can break the room's guarantees: the order of messages, delivery, and one `user_left` for
    each stay.

    An exception other than `Refused` crashes the room, which restarts with its members. An async method blocks this
    room only, for 5 s at most; after that the room crashes. A method that computes for long without awaiting blocks
    the whole server: run such work in a thread.

    A room may have room kinds of several extensions. The room calls them in the order in which the extensions are
    enabled. Mark methods with `@command` to handle commands that members send in the room.

    Attributes:
        rooms: Set by the class. Rooms whose name matches this pattern have the room kind: `*` matches any text, `?` one
            character. Of one extension's room kinds, the first match applies. Empty: no room has it by its name.
        chosen_as: Set by the class. The word with which a user gives a new room this room kind, by `create_room`.
            Empty: users cannot choose it.
        kept_as: Set by the class. The name of its store, if not the name of the class. Set it when you rename a class.
        room: The room, as a `RoomHandle`.
        settings: The extension's settings, an instance of its struct.
    """

    rooms: ClassVar[str] = ""
    chosen_as: ClassVar[str] = ""
    kept_as: ClassVar[str] = ""
    room: RoomHandle
    settings: Any = None

    @property
    def store(self) -> Store:
        """The persistent store of the room kind in this room."""
        return self.room.store

    async def on_open(self) -> None:
        """Called when the room starts, and after each restart. After a restart `room.users` holds the members."""

    async def may_join(self, user_id: str) -> None:
        """Called before a user joins. May be called more than once for one join, so it must not change anything.

        Args:
            user_id: The user, or `bot:NAME`.

        Raises:
            Refused: The user may not join.
        """

    async def may_stay(self, user_id: str) -> None:
        """Called after a restart, after `on_open`, for each user who is in the room.

        The room may have crashed after a command changed the stored rules and before it removed a user. Often this is
        `may_join`, unless that also refuses users who are in the room, for example since the room is full.

        Args:
            user_id: The user, or `bot:NAME`.

        Raises:
            Refused: The user is removed.
        """

    def on_join(self, user_id: str) -> Awaitable[None] | None:
        """Called after the first connection of a user has joined.

        If `on_join` or `on_leave` is `async`, the room calls both as its next messages, in the order of the events.
        """
        return None

    def on_leave(self, user_id: str) -> Awaitable[None] | None:
        """Called after the last connection of a user has left."""
        return None

    def state_for(self, user_id: str) -> Any:
        """Called before a connection is added. The result is sent in the field `state` of its `joined`.

        Args:
            user_id: The user who joins.

        Returns:
            Anything that msgspec encodes as JSON; it is sent under the extension's name. None sends nothing.
        """

    async def on_post(self, user_id: str, content: str) -> str:
        """Decide whether a message is posted.

        It must not change anything: another room kind may still refuse the message, or the journal may not store it.
        Changes belong into `on_posted`. It may be called again for a message that a client repeats with the same
        `clientMsgId`; a refusal has no effect then, since the message is posted already.

        Args:
            user_id: The sender, or `bot:NAME`.
            content: The text of the message.

        Returns:
            The text to post: `content`, or another one.

        Raises:
            Refused: The message is not posted.
        """
        return content

    async def on_posted(self, user_id: str, content: str) -> None:
        """Called once after a message has been stored and sent to the members.

        Not called for what this room kind says itself, nor for messages that are stored while the room ends. If it
        raises, the room crashes after all messages of the batch are reported, and it is not called again for them.

        Args:
            user_id: The sender, or `bot:NAME`.
            content: The text that was posted.
        """

    @classmethod
    async def on_user_removed(cls, removed: RemovedUser) -> None:
        """Called after an operator has removed a user: erase what is stored about the user.

        Otherwise the next user of the id may inherit it. Called when the server starts, before any room runs, once for
        each room in which this room kind has stored values. It may be called again for the same user.

        Args:
            removed: The user, the room id as `key`, the store of the room kind in this room and the settings.
        """

    @classmethod
    def matches(cls, room_id: str, settings: Any) -> bool:
        """Whether a room has this room kind by its name. Override it for another rule than a pattern.

        Args:
            room_id: The room's id.
            settings: The extension's settings.
        """
        return bool(cls.rooms) and fnmatchcase(room_id, cls.rooms)


def methods_of_kind(kind: type[RoomKind]) -> Methods:
    """Collect the commands of a room kind. Raises `BadHandler`."""
    return commands_of(kind, Where.IN_ROOM, Where.IN_ROOM)
