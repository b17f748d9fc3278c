"""What a client may look up about a room, whether or not it is in it: who is there, and what was said.

Rooms are open to every user, so to ask first and enter then would only take longer; who may not enter a room of a kind
does not get here.
"""

from __future__ import annotations

import logging

from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.chat.recovery import PAGE_MESSAGES, chat_message
from chat_actors.chat.room_messages import ROOMS, ListUsers, UserList
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Context
from chat_actors.protocol import ListMembers, ReadHistory, Refusal, encode, messages, refusals
from chat_actors.storage import Journal, StorageError

logger = logging.getLogger(__name__)

HISTORY_MESSAGES = 50
"""Messages in an answer, if the request names no number."""

ASK_TIMEOUT = 10.0
"""Seconds that a session waits for a room to say who is in it."""


async def answer_query(
    context: Context, journal: Journal | None, room_id: str, command: ListMembers | ReadHistory
) -> messages.MemberList | messages.History | Refusal:
    """The answer to either command, or why there is none."""
    if isinstance(command, ListMembers):
        return await _list_members(context, room_id, command)
    return await _read_history(journal, room_id, command)


async def _list_members(context: Context, room_id: str, command: ListMembers) -> messages.MemberList | Refusal:
    """Who is in a room. Opens none: in a room that does not run nobody is."""
    room = context.find(ROOMS, room_id)
    present = UserList(0, ())
    if room is not None:
        try:
            present = await room.ask(ListUsers(), timeout=ASK_TIMEOUT)
        except ActorStopped:
            pass  # the last one has just left
        except (AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE
    return messages.MemberList(room_id, list(present.users), present.count, request_id=command.request_id)


async def _read_history(journal: Journal | None, room_id: str, command: ReadHistory) -> messages.History | Refusal:
    """Some messages of a room, as many as were asked for, but at most `PAGE_MESSAGES` and `BLOCK_BYTES`."""
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
    kept = _that_fit(found if reads_on else found[::-1])
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


def _that_fit(found: list[messages.ChatMessage]) -> list[messages.ChatMessage]:
    """The first of them, as many as do not evict a client that reads: JSON may be six times as long as its text."""
    size = 0
    for n, message in enumerate(found):
        size += len(encode(message)) + 1
        if n and size > BLOCK_BYTES:
            return found[:n]
    return found
