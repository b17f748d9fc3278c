"""Who is typing, and how far everybody has read: for those who ask, and never stored."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated

import anyio
import msgspec

from chat_actors import Caller, Command, Extension, Message, Rate, RoomKind, command

OFTEN = Rate(per_second=5, burst=20)


class TypingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.typing]`"""

    rooms: tuple[str, ...] = ("*",)
    """The names of the rooms where it is to be seen, as patterns."""

    seconds: float = 6.0
    """How long somebody is typing who does not say so again."""


class WatchTyping(Command, frozen=True, tag="typing_watch"):
    """From now on, hear who is typing in this room and what they have read."""


class Typing(Command, frozen=True, tag="typing"):
    """Say that one is typing; again every few seconds, for it ends by itself."""

    on: bool = True


class Read(Command, frozen=True, tag="read"):
    """Say that one has read all messages up to this number."""

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
    """Who is typing now, and what those who are here have read."""

    room_id: str
    typing: list[str]
    read: dict[str, int]


class TypingRoom(RoomKind):
    """Passes on what is told. Nothing of it outlives the room."""

    async def on_open(self) -> None:
        self._typing: dict[str, float] = {}
        self._read: dict[str, int] = {}

    def on_leave(self, user_id: str) -> None:
        self._read.pop(user_id, None)
        self._stop(user_id)

    @command(rate=OFTEN)
    def watch(self, caller: Caller, asked: WatchTyping) -> TypingState:
        self.room.subscribe(caller)
        return TypingState(self.room.room_id, list(self._typing), self._read)

    @command(rate=OFTEN)
    def typing(self, caller: Caller, typing: Typing) -> None:
        if not typing.on:
            self._stop(caller.user_id)
            return
        if caller.user_id not in self._typing:
            self._tell(caller.user_id, on=True)
            self._look_after(caller.user_id, self.settings.seconds)
        self._typing[caller.user_id] = anyio.current_time() + self.settings.seconds

    def _look_after(self, user_id: str, seconds: float) -> None:
        self.room.after(seconds, partial(self._look, user_id))

    def _look(self, user_id: str) -> None:
        left = self._typing.get(user_id, 0) - anyio.current_time()
        if user_id in self._typing and left > 0.001:
            self._look_after(user_id, left)
        else:
            self._stop(user_id)

    def _stop(self, user_id: str) -> None:
        if self._typing.pop(user_id, None) is not None:
            self._tell(user_id, on=False)

    def _tell(self, user_id: str, *, on: bool) -> None:
        self.room.tell_subscribers(NowTyping(user_id, self.room.room_id, on), but=user_id)

    @command(rate=OFTEN)
    def read(self, caller: Caller, read: Read) -> None:
        if read.seq > self._read.get(caller.user_id, -1):
            self._read[caller.user_id] = read.seq
            self.room.tell_subscribers(HasRead(caller.user_id, self.room.room_id, read.seq), but=caller.user_id)

    async def on_post(self, user_id: str, content: str) -> str:
        self._stop(user_id)
        return content

    @classmethod
    def matches(cls, room_id: str, settings: TypingSettings) -> bool:
        return any(fnmatchcase(room_id, pattern) for pattern in settings.rooms)


extension = Extension(name="typing", room_kinds=[TypingRoom], settings=TypingSettings)
