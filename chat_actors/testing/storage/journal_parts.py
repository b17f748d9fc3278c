"""Helpers of the journal port's conformance tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from chat_actors.storage import Append, Appended, Draft, Journal, Retention

NOON = datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)


def drafts(*contents: str, user: str = "ann") -> Sequence[Draft]:
    """Drafts without a `client_msg_id`."""
    return [Draft(user, content) for content in contents]


def draft_with_id(content: str, client_msg_id: str, user: str = "ann") -> Draft:
    """A draft with a `client_msg_id`."""
    return Draft(user, content, client_msg_id)


async def post(journal: Journal, *contents: str, room: str = "red", user: str = "ann", at: datetime = NOON) -> Appended:
    """Commit one append to one room."""
    (appended,) = await journal.commit([Append(room, drafts(*contents, user=user))], at)
    return appended


async def fill(journal: Journal, count: int, room: str = "red", at: datetime = NOON) -> None:
    """Commit `count` messages to an empty room. Their contents are '1', '2', ..."""
    for start in range(0, count, 1000):
        await post(journal, *(str(n) for n in range(start + 1, min(start + 1000, count) + 1)), room=room, at=at)


async def page_of(
    journal: Journal, room: str = "red", *, after: int | None = None, before: int | None = None, limit: int = 10
) -> tuple[list[int], bool]:
    """The sequence numbers of a page, and whether more messages follow."""
    page = await journal.page(room, after=after, before=before, limit=limit)
    return [message.seq for message in page.messages], page.more


async def contents_of(journal: Journal, room: str) -> list[str]:
    """The contents of a room's first 100 messages."""
    return [message.content for message in (await journal.page(room, after=0, limit=100)).messages]


async def prune_all(journal: Journal, retention: Retention, now: datetime = NOON) -> int:
    """Prune until nothing is left to prune. Returns the number of steps."""
    steps = 1
    while await journal.prune(retention, now):
        steps += 1
    return steps
