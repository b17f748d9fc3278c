"""Posts that are not stored yet: leaves and flushes wait for them; a stop stores, and a failure refuses them."""

import anyio
import pytest

from chat_actors.chat.directory import CountRooms, FlushRooms
from chat_actors.chat.members import Member
from chat_actors.chat.outbox import NullOutbox
from chat_actors.chat.pending_posts import PendingPost, PendingPosts
from chat_actors.chat.recovery import PAGE_MESSAGES
from chat_actors.chat.room_core import RoomCore
from chat_actors.chat.room_messages import Flush, PostAs
from chat_actors.chat.room_posts import AppendFailed
from chat_actors.kernel import handles
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import refusals
from chat_actors.storage import Append, Committed, Draft, StorageError
from tests.chat.rig import (
    START,
    Boom,
    FragileRoom,
    MemoryChat,
    SlowJournal,
    clients_in,
    contents,
    errors,
    room_of,
    summaries,
)

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


async def stored(journal):
    return [message.content for message in (await journal.page("red", limit=100)).messages]


async def post_during_a_commit(client):
    """One post is in flight, and the next is a draft."""
    client.deliver(type="chat_message", content="one", id="q1")
    await anyio.sleep(0.5)
    client.deliver(type="chat_message", content="two", id="q2")
    await anyio.sleep(0.1)


@pytest.mark.parametrize("end", ["switch", "disconnect"])
async def test_leave_waits_for_drafts_too(end):
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=1))
        ann, ben = await clients_in(chat, "red", "ann", "ben")
        await post_during_a_commit(ann)
        if end == "switch":
            ann.deliver(type="switch_room", roomId="blue")
        else:
            ann.disconnect()
        await settle(system)
        assert summaries(ben.hear()) == ["one", "two", "UserLeft"]
        assert summaries(ann.hear()) == (["one", "two", "Joined"] if end == "switch" else [])
        assert system.statistics().restarts == 0


async def test_leave_ends_when_the_post_is_refused():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        ann, ben = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        journal.fail_with = FULL
        ann.deliver(type="chat_message", content="lost")
        ann.deliver(type="switch_room", roomId="blue")
        await anyio.sleep(2)
        assert summaries(ann.hear()) == ["Error", "Joined"]
        assert summaries(ben.hear()) == ["UserLeft"]


async def test_flush_waits_for_drafts_too():
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system, journal=SlowJournal(seconds=1)), "red", "ann", "ben", "cyd")
        await post_during_a_commit(clients[0])
        await room_of(clients[0]).ask(Flush(), timeout=5)
        assert contents(clients[1].hear()) == ["one", "two"]


async def test_flush_of_an_idle_room_is_answered():
    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system, journal=SlowJournal()), "red", "ann")
        await room_of(ann).ask(Flush(), timeout=0.1)


async def test_stopped_room_has_its_drafts_stored():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        (ann,) = await clients_in(MemoryChat(system, journal=journal), "red", "ann")
        room = room_of(ann)
        await post_during_a_commit(ann)
        room.stop()
        await room.wait_stopped()
        await anyio.sleep(3)
        assert await stored(journal) == ["one", "two"]
        assert errors(ann.hear()) == [("room_closed", None)]


async def test_failed_room_refuses_its_drafts():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=5)
        (ann,) = await clients_in(MemoryChat(system, journal=journal), "red", "ann")
        room = room_of(ann)
        await post_during_a_commit(ann)
        refused = []

        async def post():
            refused.append(await room.ask(PostAs("zoe", "three"), timeout=5))

        system.start_task(post)
        await anyio.sleep(0.1)
        for _ in range(6):
            room.tell(Boom())
        await room.wait_stopped()
        await anyio.sleep(20)
        assert errors(ann.hear()) == [("room_failed", "q2"), ("room_closed", None)]
        assert refused == [refusals.ROOM_FAILED]
        assert await stored(journal) == ["one"]


async def test_post_as_is_answered_once_it_is_stored():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        (ann,) = await clients_in(MemoryChat(system, journal=journal), "red", "ann")
        start = anyio.current_time()
        assert await room_of(ann).ask(PostAs("zoe", "hello"), timeout=5) is None
        assert anyio.current_time() - start >= 1
        journal.fail_with = FULL
        assert await room_of(ann).ask(PostAs("zoe", "lost"), timeout=5) == refusals.NOT_STORED
        assert contents(ann.hear()) == await stored(journal) == ["hello"]


async def test_post_as_without_a_journal():
    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system), "red", "ann")
        assert await room_of(ann).ask(PostAs("zoe", "hello"), timeout=5) is None
        (received,) = ann.hear()
        assert (received.user_id, received.content) == ("zoe", "hello")


async def test_crash_on_committed_messages_delivers_them():
    """The restarted room reads them from the journal, in several pages."""

    class CrashesOnce(FragileRoom):
        crashes = 0

        @handles
        async def committed(self, message: Committed) -> None:
            CrashesOnce.crashes += 1
            if CrashesOnce.crashes == 1:
                raise ValueError("the room was asked to crash")
            await super().committed(message)

    async with RunningSystem() as system:
        journal = SlowJournal()
        ann, ben = await clients_in(MemoryChat(system, room=CrashesOnce, journal=journal), "red", "ann", "ben")
        texts = [str(n) for n in range(2 * PAGE_MESSAGES + 1)]
        (appended,) = await journal.commit([Append("red", [Draft("zoe", text) for text in texts])], START)
        room_of(ann).tell(Committed(appended.messages))
        await anyio.sleep(5)
        assert contents(ann.hear()) == contents(ben.hear()) == texts


@pytest.mark.parametrize(("error", "delivered"), [(FULL, []), (RuntimeError("a bug in the writer"), ["stored"])])
async def test_failed_append_with_unknown_outcome(error, delivered):
    """The room reads the journal if the writer has failed, since the messages may be stored, and not otherwise."""
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        ann, ben = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        await journal.commit([Append("red", [Draft("zoe", "stored")])], START)
        journal.reads.clear()
        room_of(ann).tell(AppendFailed(error))
        await settle(system)
        assert contents(ann.hear()) == contents(ben.hear()) == delivered
        assert len(journal.reads) == len(delivered)


async def test_restarted_room_removes_leaving_members(monkeypatch):
    """The room crashes after it has handled their posts."""

    def crash_once(core):
        monkeypatch.undo()
        raise ValueError("the room was asked to crash")

    monkeypatch.setattr(RoomCore, "_release_waiters", crash_once)
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=1))
        ann, ben = await clients_in(chat, "red", "ann", "ben")
        ann.deliver(type="chat_message", content="bye")
        ann.deliver(type="switch_room", roomId="blue")
        await anyio.sleep(5)
        assert summaries(ben.hear()) == ["bye", "UserLeft"]
        assert summaries(ann.hear()) == ["bye", "Joined"]
        assert system.statistics().restarts == 1


@pytest.mark.parametrize(("within", "delivered", "seconds"), [(5, ["hello"], 1), (0.5, [], 0.5)])
async def test_flush_of_all_rooms(within, delivered, seconds):
    """The directory waits for all rooms at once, but no longer than `within`."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=1))
        clients = [(await clients_in(chat, f"room-{n}", f"user-{n}"))[0] for n in range(3)]
        for client in clients:
            client.deliver(type="chat_message", content="hello")
        start = anyio.current_time()
        await chat.chat.directory.ask(FlushRooms(within), timeout=10)
        assert anyio.current_time() - start == pytest.approx(seconds, abs=0.1)
        assert [contents(client.hear()) for client in clients] == 3 * [delivered]


async def test_flush_of_all_rooms_skips_a_failed_one():
    class Unflushed(FragileRoom):
        @handles
        def flush(self, request: Flush) -> None:
            raise ValueError("the room was asked to crash")

    async with RunningSystem() as system:
        chat = MemoryChat(system, room=Unflushed, journal=SlowJournal())
        await clients_in(chat, "red", "ann")
        await chat.chat.directory.ask(FlushRooms(5), timeout=10)
        assert await chat.chat.directory.ask(CountRooms(), timeout=1) == 1


def test_check_of_an_author_reads_no_posts():
    class Unread(list):
        def __iter__(self):
            raise AssertionError("it takes as long as there are drafts")

    posts, author = PendingPosts(), Member(object(), "ann", NullOutbox())
    for _ in range(2):
        posts.add(PendingPost(Draft("ann", "hello"), author))
    posts.drafts = Unread(posts.drafts)
    assert posts.has_any_of("ann")
    assert posts.has_any_of(author.session)
    assert not posts.has_any_of("ben")


def test_posts_are_counted_out():
    posts, author = PendingPosts(), Member(object(), "ann", NullOutbox())
    for user_id in ("ann", "ann", "ben"):
        posts.add(PendingPost(Draft(user_id, "hello"), author))
        posts.next_append("red")
    posts.take_in_flight()
    assert posts.has_any_of("ann")
    posts.next_append("red")
    posts.add(PendingPost(Draft("cyd", "hello"), author))
    posts.take_in_flight()
    assert [posts.has_any_of(each) for each in ("ann", "ben", "cyd", author.session)] == [False, False, True, True]
    posts.take_drafts()
    assert not posts.has_any_of("cyd")
    assert not posts.has_any_of(author.session)
