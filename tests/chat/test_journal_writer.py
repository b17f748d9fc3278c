"""The journal writer alone: group commits, its bound, its answers, its log and its stop."""

import logging
from datetime import timedelta
from functools import partial

import anyio
import pytest

from chat_actors.chat.journal_writer import PRUNE_EVERY, JournalWriter, WaitUntilStored, WriterState
from chat_actors.kernel import MailboxFull
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.storage import Append, Draft, Retention, StorageError
from tests.chat.rig import START, SlowJournal

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")
LOGGER = "chat_actors.chat.journal_writer"


class SmallWriter(JournalWriter):
    mailbox_capacity = 4


def now():
    return START + timedelta(seconds=anyio.current_time() % 1e6)


def start_writer(system, journal, writer=JournalWriter):
    return system.spawn_named("journal", writer, journal, WriterState(), Retention(), now)


def append(room, content="hello"):
    return Append(room, [Draft("ann", content)])


def stored_rooms(journal):
    return [[one.room_id for one in batch] for batch in journal.commits]


async def test_queued_appends_count_against_the_mailbox():
    """Each append keeps one slot until it is stored, and no longer."""
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        writer = start_writer(system, journal, SmallWriter)
        for _ in range(3):
            for n in range(4):
                writer.send_nowait(append(f"room-{n}"))
                await anyio.sleep(0.01)
            with pytest.raises(MailboxFull):
                writer.send_nowait(append("one too many"))
            await anyio.sleep(5)
        assert stored_rooms(journal) == 3 * [["room-0"], ["room-1", "room-2", "room-3"]]


async def test_failed_commit_frees_its_slots():
    async with RunningSystem() as system:
        journal = SlowJournal()
        writer = start_writer(system, journal, SmallWriter)
        journal.fail_with = FULL
        for n in range(10):
            with pytest.raises(StorageError):
                await writer.ask(append(f"room-{n}"), timeout=5)


async def test_commit_time_is_in_whole_milliseconds():
    times = []

    class Recorder(SlowJournal):
        async def commit(self, batch, at):
            times.append((at, now()))
            return await super().commit(batch, at)

    async with RunningSystem() as system:
        writer = start_writer(system, Recorder())
        await anyio.sleep(1 - anyio.current_time() % 1 - 0.000_5)
        await writer.ask(append("red"), timeout=5)
    ((at, clock),) = times
    assert at.microsecond == 999_000
    assert timedelta(0) < clock - at < timedelta(milliseconds=1)


async def test_wait_until_stored_waits_for_the_room():
    """It waits for each append of its own room, and for those of no other room."""
    async with RunningSystem() as system:
        writer = start_writer(system, SlowJournal(seconds=1))
        start, answered = anyio.current_time(), {}

        async def wait(room):
            await writer.ask(WaitUntilStored(room), timeout=10)
            answered[room] = round(anyio.current_time() - start)

        writer.tell(append("red"))
        await anyio.sleep(0.1)
        for room in ("red", "blue"):
            writer.tell(append(room))
        await anyio.sleep(0.1)
        for room in ("red", "blue", "green"):
            system.start_task(partial(wait, room))
        await anyio.sleep(5)
        assert answered == {"red": 2, "blue": 2, "green": 0}
        await wait("red")


async def test_wait_until_stored_ends_at_a_failed_commit():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        writer = start_writer(system, journal)
        journal.fail_with = FULL
        writer.tell(append("red"))
        await writer.ask(WaitUntilStored("red"), timeout=2)


async def test_stop_stores_all_queued_appends():
    """One commit is running, and another one follows it."""
    journal = SlowJournal(seconds=1)
    async with RunningSystem() as system:
        writer = start_writer(system, journal)
        await writer.ask(append("first"), timeout=5)
        writer.tell(append("red"))
        await anyio.sleep(0.5)
        writer.tell(append("blue"))
        await anyio.sleep(0.1)
        start = anyio.current_time()
        writer.stop()
        await writer.wait_stopped()
        assert anyio.current_time() - start == pytest.approx(1.4, abs=0.1)
    assert stored_rooms(journal) == [["first"], ["red"], ["blue"]]
    with pytest.raises(StorageError, match="closed"):
        await journal.extent("red")


async def test_idle_writer_stops_at_once():
    async with RunningSystem() as system:
        writer, start = start_writer(system, SlowJournal()), anyio.current_time()
        await settle(system)
        writer.stop()
        await writer.wait_stopped()
        assert anyio.current_time() - start < 1


async def test_stop_with_a_failing_storage_closes_it(caplog):
    caplog.set_level(logging.INFO, LOGGER)
    journal = SlowJournal(seconds=1)
    async with RunningSystem() as system:
        writer = start_writer(system, journal)
        writer.tell(append("red"))
        await anyio.sleep(0.5)
        writer.tell(append("blue"))
        await anyio.sleep(0.1)
        journal.fail_with = FULL
    assert caplog.messages == [f"the last messages were not stored: {FULL}"]
    with pytest.raises(StorageError, match="closed"):
        await journal.extent("red")


async def test_each_storage_outage_is_logged_once(caplog):
    caplog.set_level(logging.INFO, LOGGER)
    refused, again = f"messages are refused: {FULL}", "messages are stored again"
    async with RunningSystem() as system:
        journal = SlowJournal()
        writer = start_writer(system, journal)
        logged = []
        for error in (None, FULL, FULL, None, None, FULL):
            journal.fail_with = error
            writer.tell(append("red"))
            await settle(system)
            logged.append(caplog.messages[:])
            caplog.clear()
    assert logged == [[], [refused], [], [again], [], [refused]]


async def test_failed_pruning_is_logged_and_repeated(caplog):
    caplog.set_level(logging.INFO, LOGGER)

    class Unprunable(SlowJournal):
        rounds = 0

        async def prune(self, retention, at):
            self.rounds += 1
            raise FULL

    async with RunningSystem() as system:
        journal = Unprunable()
        start_writer(system, journal)
        await anyio.sleep(2.5 * PRUNE_EVERY)
    assert journal.rounds == 3
    assert caplog.messages == 3 * [f"old messages could not be removed: {FULL}"]
