"""Polls in rooms. Each user has one vote and may change it until the poll closes. Polls survive a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated

import msgspec

from chat_actors import Caller, Command, Extension, Message, Rate, Refused, RemovedUser, RoomKind, command

MAX_POLLS = 50
"""Stored polls of a room. A further one replaces the oldest closed one of the user with the most closed ones."""

MAX_VOTERS = 10_000
"""Users who may vote in one poll."""

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class PollsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.polls]`"""

    rooms: tuple[str, ...] = ("*",)
    """Patterns of the names of rooms that may have polls."""


class OpenPoll(Command, frozen=True, tag="poll_open"):
    """Open a poll. It closes after `seconds`, or when its opener closes it."""

    question: Line
    options: Annotated[tuple[Line, ...], msgspec.Meta(min_length=2, max_length=10)]
    seconds: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)] | None = None


class Vote(Command, frozen=True, tag="poll_vote"):
    """Vote for an option by its index, from 0. Replaces the user's earlier vote."""

    poll_id: int
    option: int


class ClosePoll(Command, frozen=True, tag="poll_close"):
    poll_id: int


class ListPolls(Command, frozen=True, tag="polls"):
    """List the polls of the room, and subscribe to their changes."""


class Poll(msgspec.Struct):
    """A poll as stored."""

    question: str
    options: tuple[str, ...]
    opened_by: str
    closes_at: datetime | None = None
    is_closed: bool = False
    votes: dict[str, int] = {}


class PollShown(Message, frozen=True, tag="poll"):
    """A poll with the count of each option. `voted` is the caller's own vote, and missing for subscribers."""

    room_id: str
    poll_id: int
    question: str
    options: Sequence[str]
    votes: Sequence[int]
    opened_by: str
    closed: bool
    closes_at: datetime | None = None
    voted: int | msgspec.UnsetType | None = msgspec.UNSET


class PollList(Message, frozen=True, tag="polls"):
    """Oldest poll first."""

    room_id: str
    polls: Sequence[PollShown]


class PollRoom(RoomKind):
    """The polls of one room."""

    async def on_open(self) -> None:
        self._polls = {int(key): poll for key, poll in await self.store.page(Poll, limit=MAX_POLLS)}
        for poll_id, poll in self._polls.items():
            self._schedule_close(poll_id, poll)

    @command(rate=Rate(per_second=0.2, burst=5))
    async def open_poll(self, caller: Caller, request: OpenPoll) -> PollShown:
        if len(self._polls) >= MAX_POLLS:
            await self._remove_closed()
        poll_id = max(self._polls, default=0) + 1
        closes_at = None if request.seconds is None else self.room.now() + timedelta(seconds=request.seconds)
        self._polls[poll_id] = Poll(request.question, request.options, caller.user_id, closes_at)
        await self._save(poll_id)
        self._schedule_close(poll_id, self._polls[poll_id])
        return self._view_of(poll_id, caller.user_id)

    async def _remove_closed(self) -> None:
        closed = [(poll_id, poll.opened_by) for poll_id, poll in self._polls.items() if poll.is_closed]
        if not closed:
            raise Refused("too_many_polls", f"A room has at most {MAX_POLLS} open polls; close one first.")
        count = Counter(opened_by for _, opened_by in closed)
        poll_id = next(poll_id for poll_id, opened_by in closed if count[opened_by] == max(count.values()))
        del self._polls[poll_id]
        await self.store.remove(_key(poll_id))

    def _schedule_close(self, poll_id: int, poll: Poll) -> None:
        if poll.closes_at is not None and not poll.is_closed:
            left = (poll.closes_at - self.room.now()).total_seconds()
            self.room.after(max(left, 0), partial(self._close, poll_id))

    @command(rate=Rate(per_second=2, burst=10))
    async def vote(self, caller: Caller, vote: Vote) -> PollShown:
        poll = self._open_poll(vote.poll_id)
        if not 0 <= vote.option < len(poll.options):
            raise Refused("no_such_option", f"The options of this poll are 0 to {len(poll.options) - 1}.")
        if len(poll.votes) >= MAX_VOTERS and caller.user_id not in poll.votes:
            raise Refused("too_many_votes", f"At most {MAX_VOTERS} users can vote in a poll.")
        if poll.votes.get(caller.user_id) != vote.option:
            poll.votes[caller.user_id] = vote.option
            await self._save(vote.poll_id)
        return self._view_of(vote.poll_id, caller.user_id)

    @command(rate=Rate(per_second=2, burst=10))
    async def close_poll(self, caller: Caller, close: ClosePoll) -> PollShown:
        if self._open_poll(close.poll_id).opened_by != caller.user_id:
            raise Refused("not_owner", "Only the user who opened the poll may close it.")
        await self._close(close.poll_id)
        return self._view_of(close.poll_id, caller.user_id)

    @command(rate=Rate(per_second=1, burst=10))
    def list_polls(self, caller: Caller, request: ListPolls) -> PollList:
        self.room.subscribe(caller)
        return PollList(self.room.room_id, [self._view_of(poll_id, caller.user_id) for poll_id in self._polls])

    def _open_poll(self, poll_id: int) -> Poll:
        poll = self._polls.get(poll_id)
        if poll is None:
            raise Refused("no_such_poll", "There is no such poll in this room.")
        if poll.is_closed:
            raise Refused("poll_closed", "This poll has been closed.")
        return poll

    @classmethod
    async def on_user_removed(cls, removed: RemovedUser) -> None:
        """Keep the counts: a vote of the user stays, under an id that no user can have."""
        for key, poll in await removed.store.page(Poll, limit=MAX_POLLS):
            if poll.opened_by == removed.user_id:
                poll.opened_by = RemovedUser.STAND_IN
            if removed.user_id in poll.votes:
                others = sum(voter.startswith(RemovedUser.STAND_IN) for voter in poll.votes)
                poll.votes[f"{RemovedUser.STAND_IN}-{others}"] = poll.votes.pop(removed.user_id)
            await removed.store.put(key, poll)

    async def _close(self, poll_id: int) -> None:
        poll = self._polls.get(poll_id)
        if poll is not None and not poll.is_closed:
            poll.is_closed = True
            await self._save(poll_id)

    async def _save(self, poll_id: int) -> None:
        await self.store.put(_key(poll_id), self._polls[poll_id])
        self.room.tell_subscribers(self._view_of(poll_id, ""))

    def _view_of(self, poll_id: int, user_id: str) -> PollShown:
        poll = self._polls[poll_id]
        counted = Counter(poll.votes.values())
        return PollShown(
            self.room.room_id,
            poll_id,
            poll.question,
            poll.options,
            [counted[option] for option in range(len(poll.options))],
            poll.opened_by,
            poll.is_closed,
            poll.closes_at,
            poll.votes.get(user_id) if user_id else msgspec.UNSET,
        )

    @classmethod
    def matches(cls, room_id: str, settings: PollsSettings) -> bool:
        return any(fnmatchcase(room_id, pattern) for pattern in settings.rooms)


def _key(poll_id: int) -> str:
    return f"{poll_id:09d}"  # padded, so that keys sort like numbers


extension = Extension(name="polls", room_kinds=[PollRoom], messages=[PollShown], settings=PollsSettings)
