"""Adapters with one fault each, and the tests of the suites that must find it.

`test_conformance_suites.py` runs pytest on this file; its name keeps it out of the ordinary run.
"""

import contextlib
from unicodedata import normalize

import anyio
from msgspec.structs import replace

from chat_actors.storage import (
    Append,
    Appended,
    MemoryAccounts,
    MemoryJournal,
    MemoryStates,
    Missed,
    Page,
    StorageError,
)
from chat_actors.testing.storage import AccountsConformance, JournalConformance, StatesConformance


class _Journal(MemoryJournal):
    def __init__(self):
        super().__init__(room_messages=100_000)


class TornBatch(_Journal):
    """Stores one append after the other."""

    async def commit(self, batch, at):
        answers = []
        for append in batch:
            answers += await super().commit([append], at)
            await anyio.lowlevel.checkpoint()
        return answers


class TornByFailure(_Journal):
    """Leaves the appends before the failing one stored."""

    accesses_left = None

    async def commit(self, batch, at):
        answers = []
        for append in batch:
            if self.accesses_left is not None:
                self.accesses_left -= 1
                if self.accesses_left <= 0:
                    raise StorageError("store messages", "memory", "injected", "try again")
            answers += await super().commit([append], at)
        return answers


class CountsCharacters(_Journal):
    """Bounds a page in characters."""

    async def page(self, room_id, *, after=None, before=None, limit):
        found, size, more = [], 0, True
        while more and size < 65_536 and len(found) < limit:
            page = await super().page(room_id, after=after, before=before, limit=1)
            size += sum(len(message.content) for message in page.messages)
            if found and size > 65_536:
                break
            found += page.messages
            more = page.more
            if after is not None:
                after = found[-1].seq if found else after
            else:
                before = found[-1].seq if found else before
        return Page(found if after is not None else found[::-1], more)


class RawErrors(_Journal):
    """Passes the errors of its connection on."""

    is_connected = True

    def _check_open(self, action):
        super()._check_open(action)
        if not self.is_connected:
            raise ConnectionError("the server closed the connection")


class ReadsWait(_Journal):
    """Reads wait for the lock of a commit."""

    def __init__(self):
        super().__init__()
        self._lock = anyio.Lock()

    async def commit(self, batch, at):
        async with self._lock:
            await anyio.lowlevel.checkpoint()
            return await super().commit(batch, at)

    async def page(self, room_id, **where):
        async with self._lock:
            return await super().page(room_id, **where)


class StuckAfterCancel(_Journal):
    """A cancelled commit keeps the lock."""

    def __init__(self):
        super().__init__()
        self._free = anyio.Event()
        self._free.set()

    async def commit(self, batch, at):
        self._check_open("store messages")
        if not self._free.is_set():
            raise StorageError("store messages", "memory", "it is busy", "try again")
        self._free = anyio.Event()
        await anyio.lowlevel.checkpoint()
        self._free.set()
        return await super().commit(batch, at)


class HidesCancellation(_Journal):
    """Reports a cancellation as a failure."""

    async def extent(self, room_id):
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            raise StorageError("read messages", "memory", "cancelled", "try again") from error
        return await super().extent(room_id)


class StoresRepeats(_Journal):
    """Forgets the `client_msg_id` of each draft."""

    async def commit(self, batch, at):
        answers = await super().commit(batch, at)
        for room in self._rooms.values():
            room.receipts.clear()
        return answers


class MixesUsers(_Journal):
    """Reads the receipt of whichever user has used the id."""

    async def receipt(self, room_id, user_id, client_msg_id):
        room = self._room(room_id)
        return next((room.repeated(user, known) for user, known in room.receipts if known == client_msg_id), None)


class LeavesGaps(_Journal):
    """Leaves one number out after each batch."""

    async def commit(self, batch, at):
        answers = await super().commit(batch, at)
        for append in batch:
            self._rooms[append.room_id].last += 1
        return answers


class LosesNothing(_Journal):
    """Reports no lost messages."""

    async def missed(self, room_id, *, after, up_to):
        return Missed((await super().missed(room_id, after=after, up_to=up_to)).kept, 0)


class PrunesOnce(_Journal):
    """Prunes each room only once."""

    def __init__(self):
        super().__init__()
        self._passed = set()

    async def prune(self, retention, now):
        rooms, waiting = self._rooms, {name: room for name, room in self._rooms.items() if name not in self._passed}
        self._rooms = type(rooms)(waiting)
        try:
            more = await super().prune(retention, now)
        finally:
            self._rooms = rooms
        if not more:
            self._passed.update(waiting)
        return more


class Forgets(_Journal):
    """Is declared durable, but is empty after a restart."""


class SplitAnswer(_Journal):
    """Drops the messages from the answers."""

    async def commit(self, batch, at):
        return [Appended((), answer.receipts) for answer in await super().commit(batch, at)]


class NormalizesContents(_Journal):
    """Stores each content in the Unicode form NFC."""

    async def commit(self, batch, at):
        def normalized(draft):
            return replace(draft, content=normalize("NFC", draft.content))

        return await super().commit(
            [Append(append.room_id, list(map(normalized, append.drafts))) for append in batch], at
        )


class CutsRoomNames(_Journal):
    """Compares the first 64 characters of a room's name."""

    async def commit(self, batch, at):
        return await super().commit([Append(append.room_id[:64], append.drafts) for append in batch], at)

    async def extent(self, room_id):
        return await super().extent(room_id[:64])


class StripsKeys(MemoryAccounts):
    """Stores keys without the bytes that a text column strips."""

    async def register(self, user_id, key):
        return await super().register(user_id, key.rstrip(b" \n\0"))


class JoinsSpaceAndKey(MemoryStates):
    """Stores all spaces in one, each key behind the name of its space."""

    async def put(self, space, values):
        await super().put("", {f"{space}/{key}": value for key, value in values.items()})

    async def get(self, space, key):
        return await super().get("", f"{space}/{key}")


class RacingAccounts(MemoryAccounts):
    """Checks and registers in two steps, not atomically."""

    async def register(self, user_id, key):
        if await self.key_of(user_id) is not None:
            return False
        await anyio.lowlevel.checkpoint()
        self._keys[user_id] = key
        return True


class TornStates(MemoryStates):
    """Writes one value after the other."""

    async def put(self, space, values):
        for key, value in values.items():
            await super().put(space, {key: value})
            await anyio.lowlevel.checkpoint()


def must_fail(adapter, *tests):
    """Make a suite for this adapter; `tests` are those that must fail."""
    suite = next(
        suite
        for port, suite in {
            MemoryJournal: JournalConformance,
            MemoryAccounts: AccountsConformance,
            MemoryStates: StatesConformance,
        }.items()
        if issubclass(adapter, port)
    )

    class Suite(suite):
        read_seconds = 0.1
        must_fail = frozenset(tests)

        async def open(self, place):
            return adapter()

        async def reopen(self, adapter, place):
            return None

    Suite.__name__ = Suite.__qualname__ = f"Test{adapter.__name__}"
    return Suite


TestTornBatch = must_fail(
    TornBatch,
    "test_cancelled_commit_is_all_or_nothing",
    "test_retry_of_a_cancelled_commit",
    "test_cancelled_commit_beside_others",
    "test_reads_do_not_wait_for_a_commit",
)
TestCountsCharacters = must_fail(CountsCharacters, "test_page_is_bounded_in_bytes")
TestReadsWait = must_fail(ReadsWait, "test_reads_do_not_wait_for_a_commit")
TestStuckAfterCancel = must_fail(StuckAfterCancel, "test_cancelled_commit_is_all_or_nothing")
TestHidesCancellation = must_fail(HidesCancellation, "test_cancelled_reads_leave_it_usable")
TestStoresRepeats = must_fail(StoresRepeats, "test_repeated_draft_is_stored_once", "test_retry_of_a_cancelled_commit")
TestMixesUsers = must_fail(MixesUsers, "test_receipt_of_a_client_id_can_be_read")
TestLeavesGaps = must_fail(LeavesGaps, "test_overlapping_commits_number_without_gaps")
TestLosesNothing = must_fail(LosesNothing, "test_missed_counts_kept_and_lost")
TestPrunesOnce = must_fail(PrunesOnce, "test_prune_returns_to_rooms_that_grow")
TestSplitAnswer = must_fail(SplitAnswer, "test_message_is_stored_unchanged")
TestNormalizesContents = must_fail(NormalizesContents, "test_content_is_neither_cut_nor_normalized[combining]")
TestCutsRoomNames = must_fail(CutsRoomNames, "test_room_names_may_be_long")
TestStripsKeys = must_fail(StripsKeys, "test_key_is_kept_byte_for_byte")
TestJoinsSpaceAndKey = must_fail(JoinsSpaceAndKey, "test_spaces_are_separate")
TestRacingAccounts = must_fail(RacingAccounts, "test_one_of_many_registrations_succeeds")
TestTornStates = must_fail(TornStates, "test_cancelled_put_is_all_or_nothing", "test_overlapping_puts_are_atomic")


class TestTornByFailure(must_fail(TornByFailure, "test_failed_commit_changes_nothing")):
    @contextlib.contextmanager
    def fail_at(self, adapter, step):
        adapter.accesses_left = step
        yield
        adapter.accesses_left = None


class TestRawErrors(
    must_fail(
        RawErrors,
        "test_failed_commit_changes_nothing",
        "test_failed_prune_changes_nothing",
        "test_failed_reads_raise_storage_error",
    )
):
    @contextlib.contextmanager
    def fail_at(self, adapter, step):
        adapter.is_connected = step > 1
        yield
        adapter.is_connected = True


class TestForgets(must_fail(Forgets, "test_messages_survive_a_restart", "test_removals_survive_a_restart")):
    async def reopen(self, adapter, place):
        return Forgets()
