"""Typing indicators and read positions, for subscribers. Nothing is stored."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated

import anyio
import msgspec

from chat_actors import Caller, Command, Extension, Message, Rate, RoomKind, command

RATE = Rate(per_second=5, burst=20)


class TypingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.typing]`"""

    rooms: tuple[str, ...] = ("*",)
    """Patterns of the names of rooms with typing indicators."""

    seconds: float = 6.0
    """Seconds after which the typing state of a user expires unless it is repeated."""


class WatchTyping(Command, frozen=True, tag="typing_watch"):
    """Subscribe to typing states and read positions of the room."""


class Typing(Command, frozen=True, tag="typing"):
    """Report that the user is typing. Expires unless repeated every few seconds."""

    on: bool = True


class Read(Command, frozen=True, tag="read"):
    """Report that the user has read all messages up to this number."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class NowTyping(Message, frozen=True, tag="typing"):
    user_id: str
    room_id: str
    on: bool


class HasRead(Message, frozen=True, tag="read"):
    user_id: str
    room_id: str
    seq: int


class TypingState(Message, frozen=True, tag="typing_watched"):
    """The users who are typing, and the read position of each member."""

    room_id: str
    typing: list[str]
    read: dict[str, int]


class TypingRoom(RoomKind):
    """Typing states and read positions of one room. They end with the room."""

    async def on_open(self) -> None:
        self._typing: dict[str, float] = {}
        self._read: dict[str, int] = {}

    def on_leave(self, user_id: str) -> None:
        self._read.pop(user_id, None)
        self._stop(user_id)

    @command(rate=RATE)
    def watch(self, caller: Caller, request: WatchTyping) -> TypingState:
        self.room.subscribe(caller)
        return TypingState(self.room.room_id, list(self._typing), self._read)

    @command(rate=RATE)
    def typing(self, caller: Caller, typing: Typing) -> None:
        if not typing.on:
            self._stop(caller.user_id)
            return
        if caller.user_id not in self._typing:
            self._notify(caller.user_id, on=True)
            self._schedule_expiry(caller.user_id, self.settings.seconds)
        self._typing[caller.user_id] = anyio.current_time() + self.settings.seconds

    def _schedule_expiry(self, user_id: str, seconds: float) -> None:
        self.room.after(seconds, partial(self._expire, user_id))

    def _expire(self, user_id: str) -> None:
        left = self._typing.get(user_id, 0) - anyio.current_time()
        if user_id in self._typing and left > 0.001:
            self._schedule_expiry(user_id, left)
        else:
            self._stop(user_id)

    def _stop(self, user_id: str) -> None:
        if self._typing.pop(user_id, None) is not None:
            self._notify(user_id, on=False)

    def _notify(self, user_id: str, *, on: bool) -> None:
        self.room.tell_subscribers(NowTyping(user_id, self.room.room_id, on), but=user_id)

    @command(rate=RATE)
    def read(self, caller: Caller, read: Read) -> None:
        if read.seq > self._read.get(caller.user_id, -1):
            self._read[caller.user_id] = read.seq
            self.room.tell_subscribers(HasRead(caller.user_id, self.room.room_id, read.seq), but=caller.user_id)

    async def on_posted(self, user_id: str, content: str) -> None:
        self._stop(user_id)

    @classmethod
    def matches(cls, room_id: str, settings: TypingSettings) -> bool:
        return any(fnmatchcase(room_id, pattern) for pattern in settings.rooms)


extension = Extension(name="typing", room_kinds=[TypingRoom], messages=[NowTyping, HasRead], settings=TypingSettings)
