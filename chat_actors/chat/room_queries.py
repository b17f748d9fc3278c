"""Answers a client's queries about any room: its members and its history.

A client need not be in the room. For a room with a room kind, the session asks first whether the user may join. It
starts no room of which nothing is known: neither the stored choice nor the name gives it a room kind that can refuse.
"""

from __future__ import annotations

import logging

import anyio
import msgspec

from chat_actors.chat.chosen_kind import load_chosen
from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.recovery import PAGE_MESSAGES, chat_message
from chat_actors.chat.room_joins import Membership
from chat_actors.chat.room_kinds import RoomKinds
from chat_actors.chat.room_messages import ROOMS, ListUsers, UserList
from chat_actors.chat.session_rooms import SessionRooms
from chat_actors.chat.user_rates import RateBuckets
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Context
from chat_actors.protocol import ListMembers, ReadHistory, Refusal, encode, is_room_id, messages, refusals
from chat_actors.storage import Journal, States, StorageError

logger = logging.getLogger(__name__)

HISTORY_MESSAGES = 50
"""Messages in an answer, if the request has no `limit`."""

ASK_TIMEOUT = 10.0
"""Seconds that a session waits for a room's list of users."""


class Query(msgspec.Struct, frozen=True):
    """A client's query, with what its session knows."""

    command: ListMembers | ReadHistory
    rooms: SessionRooms
    user_id: str
    rates: RateBuckets


class RoomQueries:
    """Executes the queries of all sessions."""

    def __init__(self, journal: Journal | None, room_kinds: RoomKinds, states: States) -> None:
        self._journal = journal
        self._room_kinds = room_kinds
        self._states = states

    async def execute(self, context: Context, query: Query) -> messages.MemberList | messages.History | Refusal:
        """The answer, or a refusal. `context` is that of the session."""
        command, found = query.command, query.rooms.memberships.named(query.command.room_id)
        if command.room_id is None and isinstance(found, Refusal):
            return found
        room_id = found.room_id if isinstance(found, Membership) else command.room_id or ""
        if not is_room_id(room_id):
            return refusals.INVALID_ROOM_ID
        if not query.rates.take_query(anyio.current_time()):
            return refusals.TOO_MANY_FRAMES
        refusal = None if isinstance(found, Membership) else await self._check(context, query, room_id)
        if refusal is not None:
            return refusal
        if isinstance(command, ListMembers):
            return await _list_members(context, room_id, command)
        return await _read_history(self._journal, room_id, command)

    async def _check(self, context: Context, query: Query, room_id: str) -> Refusal | None:
        """Ask a room whether the user may read it. Starting it costs as much as a room change."""
        if context.find(ROOMS, room_id) is None:
            try:
                chosen_as = (await load_chosen(self._states, room_id)).chosen_as
            except StorageError as error:
                logger.error("query refused: %s", error)
                return refusals.INTERNAL_FAILURE
            if not self._room_kinds.can_refuse(room_id, chosen_as):
                return None
            if not query.rates.take_room_change(anyio.current_time()):
                return refusals.TOO_MANY_ROOMS
        return await query.rooms.check_join(room_id, query.user_id)


async def _list_members(context: Context, room_id: str, command: ListMembers) -> messages.MemberList | Refusal:
    """List a room's members. Does not start the room: a room that does not run has none."""
    room = context.find(ROOMS, room_id)
    users = UserList(0, ())
    if room is not None:
        try:
            users = await room.ask(ListUsers(), timeout=ASK_TIMEOUT)
        except ActorStopped:
            pass  # the last member has just left
        except (AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE
    return messages.MemberList(room_id, list(users.users), users.count, request_id=command.request_id)


async def _read_history(journal: Journal | None, room_id: str, command: ReadHistory) -> messages.History | Refusal:
    """Read the requested messages of a room: at most `PAGE_MESSAGES`, and `BLOCK_BYTES` unless one is larger."""
    if journal is None:
        return refusals.NO_HISTORY
    limit = max(1, min(command.limit or HISTORY_MESSAGES, PAGE_MESSAGES))
    try:
        page = await journal.page(room_id, after=command.after, before=command.before, limit=limit)
    except StorageError as error:
        logger.error("history refused: %s", error)
        return refusals.INTERNAL_FAILURE
    found = [chat_message(room_id, stored) for stored in page.messages]
    reads_on = command.after is not None
    kept = _fitting(found if reads_on else found[::-1])
    if not reads_on:
        kept.reverse()
    return messages.History(
        room_id=room_id,
        messages=kept,
        first=kept[0].seq if kept else None,
        last=kept[-1].seq if kept else None,
        more=page.more or len(kept) < len(found),
        request_id=command.request_id,
    )


def _fitting(found: list[messages.ChatMessage]) -> list[messages.ChatMessage]:
    """The first messages that fit into one block, so that the answer does not evict a client that reads.

    JSON escapes make a message up to six times as long as its text.
    """
    size = 0
    for n, message in enumerate(found):
        size += len(encode(message)) + 1
        if n and size > BLOCK_BYTES:
            return found[:n]
    return found
