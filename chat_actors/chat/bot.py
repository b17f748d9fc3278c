"""A bot: a member of rooms without a socket."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from chat_actors.chat.members import Member
from chat_actors.chat.outbox import Block, Closing
from chat_actors.chat.room_messages import (
    ROOMS,
    JoinRoom,
    LeaveRoom,
    NotAMember,
    PostToRoom,
    RemovedFromRoom,
    RoomMessage,
)
from chat_actors.chat.service import Service, ServiceState
from chat_actors.kernel import ActorStopped, AnyRef, AskFailed, AskTimeout, MailboxFull, Ref, Terminated, handles
from chat_actors.protocol import (
    CloseCode,
    UnknownMessage,
    bot_id,
    checked_content,
    decode_message,
    is_bot_id,
    is_room_id,
    messages,
)

LEAVE_TIMEOUT = 10.0
"""Seconds that a bot waits for a room to let it go."""

REJOIN_SECONDS = 1.0
"""Seconds after which a bot goes back into a room that has closed under it."""


class RoomBlock(msgspec.Struct, frozen=True):
    """What a room has offered to a bot."""

    room_id: str
    block: Block


class Missed(msgspec.Struct, frozen=True):
    """A bot's outbox has overflowed, by so many messages."""

    room_id: str
    count: int


class JoinRooms(msgspec.Struct, frozen=True):
    """Go into the rooms that a bot is to be in from the start."""


class Rejoin(msgspec.Struct, frozen=True):
    """A bot's timer to itself."""

    room_id: str


class BotState(ServiceState):
    """In which rooms a bot is, and wants to be. Outlives a crash."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: dict[str, Ref[RoomMessage]] = {}
        self.outboxes: dict[str, BotOutbox] = {}
        self.wanted: dict[str, bool] = {}
        """Room → whether it is held open."""


class BotOutbox:
    """Implements `Outbox` on the bot's mailbox. What has no place there is missed, which the bot is told."""

    closing: Closing | None = None
    backlog = 0

    def __init__(self, room_id: str, bot: AnyRef) -> None:
        self._room_id = room_id
        self._bot = bot
        self._missed = 0

    def offer(self, block: Block) -> bool:
        try:
            if self._missed:
                self._bot.send_nowait(Missed(self._room_id, self._missed))
                self._missed = 0
            self._bot.send_nowait(RoomBlock(self._room_id, block))
        except MailboxFull:
            self._missed += len(block.texts)
            return False
        except ActorStopped:
            return False
        return True

    def take_missed(self) -> int:
        """How many messages were missed since the bot was told last."""
        missed, self._missed = self._missed, 0
        return missed

    def close(self, code: CloseCode, reason: str) -> None:
        """A bot is no client that could be sent away."""


class Bot(Service):
    """Base of bots. In its rooms it is a member `bot:NAME`, a name that no user can have; and it is a `Service` too.

    What it hears comes one after the other to the methods below, with the room's name; it never hears itself, nor, so
    that two of them do not talk for ever, other bots unless `hears_bots`. More than `mailbox_capacity` blocks of
    messages that it has not handled are missed, which it is told by `on_missed`: a room never waits for a bot.
    """

    mailbox_capacity: ClassVar[int] = 1024

    name: ClassVar[str] = ""
    """3 to 32 of `a-z A-Z 0-9 _ -`."""

    rooms: ClassVar[tuple[str, ...]] = ()
    """Rooms that it goes into at the start, and holds open."""

    hears_bots: ClassVar[bool] = False

    service_state: BotState

    @classmethod
    def make_state(cls) -> BotState:
        return BotState()

    # -- what it hears -------------------------------------------------------------------------------------------------

    async def on_message(self, room_id: str, message: messages.ChatMessage) -> None:
        """Somebody has said something."""

    async def on_joined(self, room_id: str, user_id: str) -> None:
        """Somebody has come."""

    async def on_left(self, room_id: str, user_id: str) -> None:
        """Somebody has gone."""

    async def on_refused(self, room_id: str, code: str, text: str) -> None:
        """What it said last was not said, or it may not be in this room (it then is not in there any more)."""

    async def on_missed(self, room_id: str, count: int) -> None:
        """So many messages were not heard: it is too slow for what is said there."""

    # -- what it does --------------------------------------------------------------------------------------------------

    def join(self, room_id: str, *, hold_open: bool = False) -> None:
        """Go into a room, and back into it if it closes while it is held open. Others close when only bots are left."""
        if not is_room_id(room_id):
            raise ValueError(f"{room_id!r} is no name of a room")
        self.service_state.wanted[room_id] = hold_open
        self._join_room(room_id)

    async def leave(self, room_id: str) -> None:
        """Go out of a room, after what was said. Nothing if it is not in there."""
        self.service_state.wanted.pop(room_id, None)
        self.service_state.outboxes.pop(room_id, None)
        room = self.service_state.rooms.pop(room_id, None)
        if room is not None:
            self.context.unwatch(room)
            try:
                await room.ask(LeaveRoom(self.context.self_ref), timeout=LEAVE_TIMEOUT)
            except (ActorStopped, AskFailed, AskTimeout):
                pass  # a room that is gone has no members

    def post(self, room_id: str, content: str) -> bool:
        """Say something in a room where it is. False: it is not in there, or the room is full of what others say.

        Raises `ValueError` for nothing to say.
        """
        content, room = checked_content(content), self.service_state.rooms.get(room_id)
        return room is not None and room.tell(PostToRoom(self.context.self_ref, content))

    # -- by the server -------------------------------------------------------------------------------------------------

    @handles
    def _on_join_rooms(self, message: JoinRooms) -> None:
        for room_id in self.rooms:
            self.join(room_id, hold_open=True)

    @property
    def user_id(self) -> str:
        """As which it is a member."""
        return bot_id(self.name)

    def _join_room(self, room_id: str) -> None:
        if room_id in self.service_state.rooms:
            return
        outbox = BotOutbox(room_id, self.context.self_ref)
        member = Member(self.context.self_ref, self.user_id, outbox, self.service_state.wanted[room_id])
        try:
            room = self.context.get_or_spawn(ROOMS, room_id)
            room.send_nowait(JoinRoom(member))
        except (ActorStopped, MailboxFull):
            self.context.after(REJOIN_SECONDS, Rejoin(room_id))
            return
        self.service_state.rooms[room_id], self.service_state.outboxes[room_id] = room, outbox
        self.context.watch(room)

    @handles
    def _on_rejoin(self, message: Rejoin) -> None:
        if message.room_id in self.service_state.wanted:
            self._join_room(message.room_id)

    @handles
    def _on_actor_ended(self, message: Terminated) -> None:
        room_id = self._remove_room(message.ref)
        if room_id is None:
            super()._on_actor_ended(message)
        elif self.service_state.wanted.get(room_id):
            self.context.after(REJOIN_SECONDS, Rejoin(room_id))
        else:
            self.service_state.wanted.pop(room_id, None)

    @handles
    def _on_not_a_member(self, message: NotAMember) -> None:
        room_id = self._remove_room(message.room)
        if room_id is not None:
            message.room.tell(LeaveRoom(self.context.self_ref))
            self.context.after(REJOIN_SECONDS, Rejoin(room_id))

    @handles
    async def _on_removed_from_room(self, message: RemovedFromRoom) -> None:
        room_id = self._remove_room(message.room)
        if room_id is not None:
            message.room.tell(LeaveRoom(self.context.self_ref))
            self.service_state.wanted.pop(room_id, None)
            await self.on_refused(room_id, message.refusal.code, message.refusal.text)

    def _remove_room(self, room: AnyRef) -> str | None:
        for room_id, known in self.service_state.rooms.items():
            if known is room:
                del self.service_state.rooms[room_id]
                self.service_state.outboxes.pop(room_id, None)
                self.context.unwatch(room)
                return room_id
        return None

    @handles
    async def _on_missed(self, message: Missed) -> None:
        await self.on_missed(message.room_id, message.count)

    @handles
    async def _on_room_block(self, message: RoomBlock) -> None:
        for text in message.block.texts:
            try:
                said: Any = decode_message(text)
            except UnknownMessage:
                continue  # an extension's
            await self._dispatch(message.room_id, said)
        outbox = self.service_state.outboxes.get(message.room_id)
        if outbox is not None and not self.context.self_ref.waiting and (missed := outbox.take_missed()):
            await self.on_missed(message.room_id, missed)  # nobody has said anything since, or it would be known

    async def _dispatch(self, room_id: str, said: messages.ServerMessage) -> None:
        match said:
            case messages.Error(code=code, message=text):
                await self.on_refused(room_id, code or "", text)
            case messages.ChatMessage(user_id=user_id) if self._is_wanted(user_id):
                await self.on_message(room_id, said)
            case messages.UserJoined(user_id=user_id) if self._is_wanted(user_id):
                await self.on_joined(room_id, user_id)
            case messages.UserLeft(user_id=user_id) if self._is_wanted(user_id):
                await self.on_left(room_id, user_id)
            case _:
                pass

    def _is_wanted(self, user_id: str) -> bool:
        return user_id != self.user_id and (self.hears_bots or not is_bot_id(user_id))
