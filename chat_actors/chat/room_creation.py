"""The command `create_room`. It exists if at least one room kind can be chosen."""

from __future__ import annotations

from collections.abc import Sequence

from chat_actors.chat.command_method import Caller, Rate, Refused, command
from chat_actors.chat.room_messages import ROOMS, AssignKind
from chat_actors.chat.service import Service
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, is_room_id, refusals

ANSWER_WITHIN = 8.0
"""Seconds that the service waits for the room."""


class CreateRoom(ExtensionCommand, frozen=True, tag="create_room"):
    """Give an unused room a room kind. Exists if the server has a room kind that users can choose."""

    room_id: str
    kind: str


class RoomCreated(ExtensionMessage, frozen=True, tag="room_created"):
    room_id: str
    kind: str


class RoomCreation(Service):
    """Handles `create_room`. Its settings are the words that may be chosen."""

    @command(rate=Rate(per_second=0.1, burst=5))
    async def create_room(self, caller: Caller, create: CreateRoom) -> RoomCreated:
        known: Sequence[str] = self.settings
        if create.kind not in known:
            refusal = refusals.unknown_kind(create.kind, known)
        elif not is_room_id(create.room_id):
            refusal = refusals.INVALID_ROOM_ID
        else:
            try:
                room = self.context.get_or_spawn(ROOMS, create.room_id)
                found = await room.ask(AssignKind(create.kind, caller.user_id), timeout=ANSWER_WITHIN)
            except (ActorStopped, AskFailed, AskTimeout):
                found = refusals.INTERNAL_FAILURE
            if found is None:
                return RoomCreated(create.room_id, create.kind)
            refusal = found
        raise Refused(refusal.code, refusal.text)
