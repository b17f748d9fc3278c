"""The rooms of a bot: its messages to itself about them, its outboxes, and the state that outlives a crash."""

from __future__ import annotations

import msgspec

from chat_actors.chat.outbox import Block, Closing
from chat_actors.chat.room_messages import JoinedRoom, RoomMessage
from chat_actors.chat.service import ServiceState
from chat_actors.kernel import ActorStopped, AnyRef, MailboxFull, Ref
from chat_actors.protocol import CloseCode, Refusal


class RoomBlock(msgspec.Struct, frozen=True):
    """A block that a room has offered to the bot's outbox."""

    room_id: str
    block: Block


class DroppedMessages(msgspec.Struct, frozen=True):
    """The bot's outbox has dropped `count` messages."""

    room_id: str
    count: int


class BotOutbox:
    """An `Outbox` on the bot's mailbox. It drops and counts messages while the mailbox is full."""

    closing: Closing | None = None
    backlog = 0

    def __init__(self, room_id: str, bot: AnyRef) -> None:
        self._room_id = room_id
        self._bot = bot
        self._missed = 0

    def offer(self, block: Block) -> bool:
        try:
            if self._missed:
                self._bot.send_nowait(DroppedMessages(self._room_id, self._missed))
                self._missed = 0
            self._bot.send_nowait(RoomBlock(self._room_id, block))
        except MailboxFull:
            self._missed += len(block.texts)
            return False
        except ActorStopped:
            return False
        return True

    def take_missed(self) -> int:
        """Return and reset the number of dropped messages that were not reported to the bot yet."""
        missed, self._missed = self._missed, 0
        return missed

    def close(self, code: CloseCode, reason: str) -> None:
        """Do nothing: a bot has no connection."""


class JoinRooms(msgspec.Struct, frozen=True):
    """Join the rooms in `Bot.rooms`. A new actor of a bot with `Scope.SERVER` sends it to itself."""


class JoinAnswered(msgspec.Struct, frozen=True):
    """The answer of a room to the bot's request to join, or the error with which the request has failed."""

    room_id: str
    outbox: BotOutbox
    """That of the request: a later one has another."""
    answer: JoinedRoom | Refusal | Exception


class Rejoin(msgspec.Struct, frozen=True):
    """The timer with which a bot rejoins a room. A crash cancels it, so each incarnation sets it again."""

    room_id: str


class BotStay(msgspec.Struct):
    """The bot's membership of a room."""

    room: Ref[RoomMessage]
    outbox: BotOutbox
    number: int | None = None
    """The number of the join, once the room has answered it."""


class BotState(ServiceState):
    """The state of a bot that outlives a crash: the rooms it is in and the rooms it should be in."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: dict[str, BotStay] = {}
        self.wanted: dict[str, bool] = {}
        """The rooms that the bot should be in; True if it holds the room open."""
        self.has_joined = False
        """Whether `Bot.rooms` are in `wanted`."""

    def inherit(self, earlier: ServiceState) -> None:
        if isinstance(earlier, BotState):
            self.wanted = {room_id: True for room_id, is_held in earlier.wanted.items() if is_held}
