"""The journal writer: the only actor that stores messages. It does group commit.

Theory of operation. An append is *waiting*, then *committing*, then done; one commit at a time runs in a pipe. While
it runs, later appends wait, so the next commit takes them all (`COMMIT_DRAFTS` at most). Every append receives exactly
one answer: the stored receipts, or the error of its batch. Appends that wait keep slots of the mailbox reserved, so
mailbox and queue have one bound.

`WriterState` outlives a crash: a restarted writer receives the result of the running commit as a message and answers
from that state. An orderly stop stores the rest before it closes the journal.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import anyio
import msgspec

from chat_actors.kernel import Actor, Escalate, OwedAnswer, Ref, Request, Restart, StopReason, Timer, handles
from chat_actors.storage import Append, Appended, Journal, Retention, StorageError

logger = logging.getLogger(__name__)

COMMIT_DRAFTS = 4096
"""Maximum number of messages in one commit: keeps a commit near 10 ms, however many rooms wait."""

PRUNE_EVERY = 60.0
"""Seconds between two rounds of pruning."""

PRUNE_PAUSE = 0.01
"""Seconds between two steps of a round. Lets commits run first; 50,000 messages per second are still removed."""


class WaitUntilStored(Request[None], msgspec.Struct, frozen=True):
    """Answered once no append of this room is waiting or committing, so that the journal's numbers are current."""

    room_id: str


WriterMessage: TypeAlias = Append | WaitUntilStored


class Journaling(msgspec.Struct, frozen=True):
    """Where a room's messages are stored: the writer stores them, the journal reads them."""

    writer: Ref[WriterMessage]
    journal: Journal


class Stored(msgspec.Struct, frozen=True):
    """The result of a commit: the batch is stored."""

    answers: Sequence[Appended]


class NotStored(msgspec.Struct, frozen=True):
    """The result of a failed commit: nothing of the batch is stored."""

    error: Exception


class Prune(msgspec.Struct, frozen=True):
    """The timer for the next step of pruning."""


class Pruned(msgspec.Struct, frozen=True):
    """The result of one step of pruning."""

    more: bool
    error: Exception | None = None


class QueuedAppend(msgspec.Struct, frozen=True):
    """An append and the answer that is owed for it."""

    append: Append
    answer: OwedAnswer[Appended]


class WriterState:
    """The writer's state that outlives a crash: every queued append is still answered."""

    def __init__(self) -> None:
        self.waiting: list[QueuedAppend] = []
        self.committing: list[QueuedAppend] = []
        self.commit_finished = anyio.Event()
        self.appends_of_room: Counter[str] = Counter()
        """The number of appends in `waiting` and `committing`, by room."""
        self.barriers: dict[str, list[OwedAnswer[None]]] = {}
        self.is_failing = False


class JournalWriter(Actor[WriterMessage]):
    """Stores all waiting appends in one transaction, while the next ones queue up.

    A room has at most one append in flight and collects messages meanwhile, so commits grow with the load. The
    mailbox's capacity bounds the queue: a room that finds it full refuses its messages. A storage failure fails the
    appends of one batch; the next batch tries again.
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
        self._state.waiting.append(QueuedAppend(request, self.context.answer_later()))
        self._state.appends_of_room[request.room_id] += 1
        self.context.reserve_slots(1)

    @handles
    def wait_until_stored(self, request: WaitUntilStored) -> None:
        if request.room_id in self._state.appends_of_room:
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
        state.commit_finished = anyio.Event()

    async def _commit(self) -> Sequence[Appended]:
        now = self._now()
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        try:
            return await self._journal.commit([queued.append for queued in self._state.committing], at)
        finally:
            self._state.commit_finished.set()

    @handles
    def stored(self, message: Stored) -> None:
        for queued, answer in zip(self._take_committed(), message.answers, strict=True):
            queued.answer.resolve(answer)
            self._count_out(queued.append.room_id)
        if self._state.is_failing:
            self._state.is_failing = False
            logger.warning("messages are stored again")

    @handles
    def not_stored(self, message: NotStored) -> None:
        for queued in self._take_committed():
            queued.answer.fail(message.error)
            self._count_out(queued.append.room_id)
        if not self._state.is_failing:  # log only the first failure: the log may be on the full disk
            self._state.is_failing = True
            logger.error("messages are refused: %s", message.error)

    def _take_committed(self) -> Sequence[QueuedAppend]:
        batch, self._state.committing = self._state.committing, []
        self.context.release_slots(len(batch))
        return batch

    def _count_out(self, room_id: str) -> None:
        appends_of_room = self._state.appends_of_room
        appends_of_room[room_id] -= 1
        if not appends_of_room[room_id]:
            del appends_of_room[room_id]
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
        if self._next_prune is not None:  # a step that began before a crash has just finished
            self.context.cancel_timer(self._next_prune)
        self._next_prune = self.context.after(seconds, Prune())

    async def on_stop(self, reason: StopReason) -> None:
        try:
            if self._state.committing:
                await self._state.commit_finished.wait()
            while self._state.waiting:  # from rooms that stopped just before
                self._take_batch()
                await self._commit()
        except StorageError as error:
            logger.error("the last messages were not stored: %s", error)
        finally:
            await self._journal.aclose()
