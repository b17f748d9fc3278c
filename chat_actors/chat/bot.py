"""The base class of bots: services that are members of rooms."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, ClassVar, assert_never

from chat_actors.chat.bot_rooms import (
    BotOutbox,
    BotState,
    BotStay,
    DroppedMessages,
    JoinAnswered,
    JoinRooms,
    Rejoin,
    RoomBlock,
)
from chat_actors.chat.members import Member
from chat_actors.chat.room_messages import (
    ROOMS,
    JoinedRoom,
    JoinRoom,
    LeaveRoom,
    MemberRemoved,
    NotAMember,
    PostToRoom,
    RoomMessage,
)
from chat_actors.chat.service import Scope, Service
from chat_actors.kernel import (
    ActorStopped,
    AnyRef,
    AskFailed,
    AskTimeout,
    MailboxFull,
    Ref,
    Terminated,
    call_hook,
    handles,
)
from chat_actors.protocol import (
    Refusal,
    UnknownMessage,
    bot_id,
    checked_content,
    decode_message,
    is_bot_id,
    is_room_id,
    messages,
)

LEAVE_TIMEOUT = 10.0
"""Seconds that a bot waits for a room to remove it."""

REJOIN_SECONDS = 1.0
"""Seconds after which a bot rejoins a room that has closed."""


class Bot(Service):
    """Base class of bots: a `Service` that joins rooms as the member `bot:NAME`, which no user can be named.

    The methods `on_message`, `on_joined`, `on_left`, `on_refused` and `on_missed` are called one after the other, and
    each may be plain or `async`. A bot does not receive its own messages, nor those of other bots unless `hears_bots`
    is set, so that two bots do not answer each other forever. A room never waits for a bot: it drops messages while the
    bot's mailbox is full, and `on_missed` reports how many.

    Attributes:
        name: Set by the class. 3 to 32 characters of `a-z A-Z 0-9 _ -`.
        rooms: Set by the class. Rooms that the bot joins when the server starts, and holds open.
        hears_bots: Set by the class. Whether the bot receives the messages of other bots. The default is False.
        mailbox_capacity: Set by the class. The number of unhandled blocks of messages after which messages are dropped.
            The default is 1024.
    """

    mailbox_capacity: ClassVar[int] = 1024
    name: ClassVar[str] = ""
    rooms: ClassVar[tuple[str, ...]] = ()
    hears_bots: ClassVar[bool] = False
    service_state: BotState

    @classmethod
    def make_state(cls) -> BotState:
        """Called by the server once for each bot; all incarnations share the result."""
        return BotState()

    # -- hooks ---------------------------------------------------------------------------------------------------------

    async def on_message(self, room_id: str, message: messages.ChatMessage) -> None:
        """Called for each chat message.

        Args:
            room_id: The room.
            message: The message, with its sender, content, timestamp and sequence number.
        """

    async def on_joined(self, room_id: str, user_id: str) -> None:
        """Called when a user has joined a room that the bot is in."""

    async def on_left(self, room_id: str, user_id: str) -> None:
        """Called when a user has left a room that the bot is in."""

    async def on_refused(self, room_id: str, code: str, text: str) -> None:
        """Called when a room has refused a message of the bot, or has refused to admit it or removed it.

        Args:
            room_id: The room.
            code: The code of the refusal.
            text: The text of the refusal.
        """

    async def on_missed(self, room_id: str, count: int) -> None:
        """Called when messages were dropped because the bot's mailbox was full.

        Args:
            room_id: The room.
            count: The number of messages that were dropped.
        """

    # -- actions -------------------------------------------------------------------------------------------------------

    def join(self, room_id: str, *, hold_open: bool = False) -> None:
        """Join a room, starting it if necessary.

        Args:
            room_id: The room.
            hold_open: Keep the room open while only bots are in it, and rejoin it after it has closed. Otherwise the
                room closes when its last user has left, and the bot is out.

        Raises:
            ValueError: The room id is invalid.
        """
        if not is_room_id(room_id):
            raise ValueError(f"{room_id!r} is not a valid room id")
        self.service_state.wanted[room_id] = hold_open
        self._join_room(room_id)

    async def leave(self, room_id: str) -> None:
        """Leave a room, after the bot's earlier messages. Does nothing if the bot is not in the room.

        Args:
            room_id: The room's id.
        """
        self.service_state.wanted.pop(room_id, None)
        room = self._forget_room(room_id)
        if room is not None:
            try:
                await room.ask(LeaveRoom(self.context.self_ref), timeout=LEAVE_TIMEOUT)
            except (ActorStopped, AskFailed, AskTimeout):
                pass  # the room has ended, and its members with it

    def post(self, room_id: str, content: str) -> bool:
        """Post a chat message in a room that the bot is in. Never blocks.

        Args:
            room_id: The room.
            content: The text, not empty.

        Returns:
            False if the bot is not in the room, or if the room's mailbox is full. If the room refuses the message, for
            example since it is longer than `limits.content_chars`, `on_refused` is called.

        Raises:
            ValueError: The content is invalid.
        """
        content, stay = checked_content(content), self.service_state.rooms.get(room_id)
        return stay is not None and stay.room.tell(PostToRoom(self.context.self_ref, content))

    # -- handlers ------------------------------------------------------------------------------------------------------

    def on_incarnation(self) -> None:
        """Internal: set the timers for the rooms that the bot should be in and is not."""
        super().on_incarnation()
        is_new = self.scope is Scope.SERVER and not self.service_state.has_joined
        if is_new and not self.context.self_ref.tell(JoinRooms()):
            self.context.after(0, JoinRooms())
        for room_id in self.service_state.wanted:
            if room_id not in self.service_state.rooms:
                self._rejoin_later(room_id)

    @handles
    def _on_join_rooms(self, message: JoinRooms) -> None:
        self.service_state.has_joined = True
        for room_id in self.rooms:
            self.join(room_id, hold_open=True)

    @property
    def user_id(self) -> str:
        """The member name: `bot:NAME`."""
        return bot_id(self.name)

    def _join_room(self, room_id: str) -> None:
        if room_id in self.service_state.rooms:
            return
        outbox = BotOutbox(room_id, self.context.self_ref)
        member = Member(self.context.self_ref, self.user_id, outbox, self.service_state.wanted[room_id])
        try:
            room = self.context.get_or_spawn(ROOMS, room_id)
            answered = partial(JoinAnswered, room_id, outbox)
            self.context.ask_into(room, JoinRoom(member), into=answered, failed=answered)
        except (ActorStopped, MailboxFull):
            self._rejoin_later(room_id)
            return
        self.service_state.rooms[room_id] = BotStay(room, outbox)
        self.context.watch(room)

    def _rejoin_later(self, room_id: str) -> None:
        self.context.after(REJOIN_SECONDS, Rejoin(room_id))

    @handles
    async def _on_join_answered(self, message: JoinAnswered) -> None:
        stay = self.service_state.rooms.get(message.room_id)
        if stay is None or stay.outbox is not message.outbox:
            return
        match message.answer:
            case JoinedRoom(number=number):
                stay.number = number
            case Refusal(code=code, text=text):
                self._forget_room(message.room_id)
                self.service_state.wanted.pop(message.room_id, None)
                await call_hook(self.on_refused, message.room_id, code, text)
            case Exception():
                self._forget_room(message.room_id)
                self._rejoin_later(message.room_id)
            case _:
                assert_never(message.answer)

    @handles
    def _on_rejoin(self, message: Rejoin) -> None:
        if message.room_id in self.service_state.wanted:
            self._join_room(message.room_id)

    @handles
    async def _on_actor_ended(self, message: Terminated) -> None:
        room_id, _ = self._find_room(message.ref)
        if not room_id:
            await super()._on_actor_ended(message)
            return
        self._forget_room(room_id)
        if self.service_state.wanted.get(room_id):
            self._rejoin_later(room_id)
        else:
            self.service_state.wanted.pop(room_id, None)

    @handles
    def _on_not_a_member(self, message: NotAMember) -> None:
        room_id, number = self._find_room(message.room)
        # Before the answer to a join, the notice is about a message from an earlier stay.
        if number is not None and message.joins >= number:
            self._forget_room(room_id)
            self._rejoin_later(room_id)

    @handles
    async def _on_removed_from_room(self, message: MemberRemoved) -> None:
        room_id, number = self._find_room(message.room)
        if room_id and message.joins >= (number or 0):
            if number is None:
                message.room.tell(LeaveRoom(self.context.self_ref))  # a join may still be on its way
            self._forget_room(room_id)
            self.service_state.wanted.pop(room_id, None)
            await call_hook(self.on_refused, room_id, message.refusal.code, message.refusal.text)

    def _find_room(self, room: AnyRef) -> tuple[str, int | None]:
        """The id of a room that the bot is in and the number of its join there. An empty id if it is not in it."""
        stays = self.service_state.rooms.items()
        return next(((room_id, stay.number) for room_id, stay in stays if stay.room is room), ("", None))

    def _forget_room(self, room_id: str) -> Ref[RoomMessage] | None:
        stay = self.service_state.rooms.pop(room_id, None)
        if stay is None:
            return None
        self.context.unwatch(stay.room)
        return stay.room

    @handles
    async def _on_missed(self, message: DroppedMessages) -> None:
        await call_hook(self.on_missed, message.room_id, message.count)

    @handles
    async def _on_room_block(self, message: RoomBlock) -> None:
        for text in message.block.texts:
            try:
                decoded: Any = decode_message(text)
            except UnknownMessage:
                continue  # a message of an extension
            await self._dispatch(message.room_id, decoded)
        stay = self.service_state.rooms.get(message.room_id)
        if stay is not None and not self.context.self_ref.waiting and (missed := stay.outbox.take_missed()):
            await call_hook(self.on_missed, message.room_id, missed)  # no later block has reported them

    async def _dispatch(self, room_id: str, message: messages.ServerMessage) -> None:
        match message:
            case messages.Error(code=code, message=text):
                await call_hook(self.on_refused, room_id, code or "", text)
            case messages.ChatMessage(user_id=user_id) if self._is_wanted(user_id):
                result: Any = self.on_message(room_id, message)
                if result is not None and inspect.isawaitable(result):
                    await result
            case messages.UserJoined(user_id=user_id) if self._is_wanted(user_id):
                await call_hook(self.on_joined, room_id, user_id)
            case messages.UserLeft(user_id=user_id) if self._is_wanted(user_id):
                await call_hook(self.on_left, room_id, user_id)
            case _:
                pass

    def _is_wanted(self, user_id: str) -> bool:
        return user_id != self.user_id and (self.hears_bots or not is_bot_id(user_id))
