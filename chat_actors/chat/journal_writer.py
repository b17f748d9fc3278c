"""The journal's writer: the one actor that stores messages."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import anyio
import msgspec

from chat_actors.kernel import Actor, Escalate, OwedAnswer, Request, Restart, StopReason, Timer, handles
from chat_actors.storage import Append, Appended, Journal, Retention, StorageError

logger = logging.getLogger(__name__)

COMMIT_DRAFTS = 4096
"""Messages in one commit, at most: so that a commit takes some 10 ms and not a second, however many rooms wait."""

PRUNE_EVERY = 60.0
"""Seconds from the end of one round of pruning to the next."""

PRUNE_PAUSE = 0.01
"""Seconds between two steps of a round: commits come first, and still 50,000 messages go in a second."""


class WaitUntilStored(Request[None], msgspec.Struct, frozen=True):
    """Answered when nothing of this room waits or is under way: what the journal then says of it is the last word."""

    room_id: str


WriterMessage: TypeAlias = Append | WaitUntilStored


class Stored(msgspec.Struct, frozen=True):
    """The writer's message to itself: a batch is stored."""

    answers: Sequence[Appended]


class NotStored(msgspec.Struct, frozen=True):
    """The writer's message to itself: nothing of a batch is stored."""

    error: Exception


class Prune(msgspec.Struct, frozen=True):
    """The writer's timer to itself."""


class Pruned(msgspec.Struct, frozen=True):
    """The writer's message to itself: a step of pruning is done, or could not be."""

    more: bool
    error: Exception | None = None


class Waiting(msgspec.Struct, frozen=True):
    """An append, and the room that waits for its answer."""

    append: Append
    answer: OwedAnswer[Appended]


class WriterState:
    """What outlives a crash of the writer: nobody who waits is forgotten."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.committing: list[Waiting] = []
        self.commit_is_over = anyio.Event()
        self.under_way: Counter[str] = Counter()
        """How many appends of each room are among those."""
        self.barriers: dict[str, list[OwedAnswer[None]]] = {}
        self.is_failing = False


class JournalWriter(Actor[WriterMessage]):
    """Group commit: everything that waits is stored as one transaction, while the next ones gather.

    A room has one append under way and goes on collecting meanwhile, so the more there is to do, the more goes into
    each commit. What waits is bounded by the mailbox's capacity: a room that finds it full tells its members that
    nothing was stored. A storage that fails fails the appends of that batch, and the next batch tries again.
    """

    mailbox_capacity = 65_536
    supervision = Restart(at_most=5, within=60.0, then=Escalate())
    stop_within = 10.0

    def __init__(self, journal: Journal, state: WriterState, retention: Retention, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._state = state
        self._retention = retention
        self._now = now
        self._next_prune: Timer | None = None

    async def on_start(self) -> None:
        self._prune_after(PRUNE_PAUSE)

    @handles
    def append(self, request: Append) -> None:
        self._state.waiting.append(Waiting(request, self.context.answer_later()))
        self._state.under_way[request.room_id] += 1
        self.context.hold_places(1)

    @handles
    def wait_until_stored(self, request: WaitUntilStored) -> None:
        if request.room_id in self._state.under_way:
            self._state.barriers.setdefault(request.room_id, []).append(self.context.answer_later())

    def on_turn_end(self) -> None:
        if self._state.waiting and not self._state.committing:
            self._take_batch()
            self.context.pipe(self._commit, into=Stored, failed=NotStored)

    def _take_batch(self) -> None:
        state, drafts, size = self._state, 0, 0
        while size < len(state.waiting) and drafts < COMMIT_DRAFTS:
            drafts += len(state.waiting[size].append.drafts)
            size += 1
        state.committing, state.waiting = state.waiting[:size], state.waiting[size:]
        state.commit_is_over = anyio.Event()

    async def _commit(self) -> Sequence[Appended]:
        now = self._now()
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        try:
            return await self._journal.commit([waiting.append for waiting in self._state.committing], at)
        finally:
            self._state.commit_is_over.set()

    @handles
    def stored(self, message: Stored) -> None:
        for waiting, answer in zip(self._batch_done(), message.answers, strict=True):
            waiting.answer.resolve(answer)
            self._is_done(waiting.append.room_id)
        if self._state.is_failing:
            self._state.is_failing = False
            logger.warning("messages are stored again")

    @handles
    def not_stored(self, message: NotStored) -> None:
        for waiting in self._batch_done():
            waiting.answer.fail(message.error)
            self._is_done(waiting.append.room_id)
        if not self._state.is_failing:  # and not for each commit: a full disk must not fill up with the log
            self._state.is_failing = True
            logger.error("messages are refused: %s", message.error)

    def _batch_done(self) -> Sequence[Waiting]:
        batch, self._state.committing = self._state.committing, []
        self.context.free_places(len(batch))
        return batch

    def _is_done(self, room_id: str) -> None:
        under_way = self._state.under_way
        under_way[room_id] -= 1
        if not under_way[room_id]:
            del under_way[room_id]
            for answer in self._state.barriers.pop(room_id, ()):
                answer.resolve(None)

    # -- retention ---------------------------------------------------------------------------------------------------

    @handles
    def prune(self, message: Prune) -> None:
        self.context.pipe(
            lambda: self._journal.prune(self._retention, self._now()),
            into=Pruned,
            failed=lambda error: Pruned(False, error),
        )

    @handles
    def pruned(self, message: Pruned) -> None:
        if message.error is not None:
            logger.warning("old messages could not be removed: %s", message.error)
        self._prune_after(PRUNE_PAUSE if message.more else PRUNE_EVERY)

    def _prune_after(self, seconds: float) -> None:
        if self._next_prune is not None:  # a step that was under way when this actor crashed has come back
            self.context.cancel_timer(self._next_prune)
        self._next_prune = self.context.after(seconds, Prune())

    async def on_stop(self, reason: StopReason) -> None:
        try:
            if self._state.committing:
                await self._state.commit_is_over.wait()
            while self._state.waiting:  # rooms that stopped just before: what they had taken is not lost
                self._take_batch()
                await self._commit()
        except StorageError as error:
            logger.error("the last messages were not stored: %s", error)
        finally:
            await self._journal.aclose()
