"""Rejoining: missed and live messages form one stream without a gap or a repeat. Also: history and member lists."""

import random

import anyio
import anyio.lowlevel
import pytest

from chat_actors.chat import ROOMS, Closing, QueueOutbox
from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.chat.outbox import Block
from chat_actors.chat.recovery import PAGE_MESSAGES
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import messages
from chat_actors.storage import Append, Draft, Retention, StorageError
from tests.chat.rig import START, MemoryChat, SlowJournal, clients_in, contents, errors, room_of, seqs, summaries

pytestmark = pytest.mark.anyio


async def fill(journal, count, room="red"):
    for start in range(1, count + 1, 100):
        drafts = [Draft("zoe", str(n)) for n in range(start, min(start + 100, count + 1))]
        await journal.commit([Append(room, drafts)], START)
    journal.commits.clear()


async def rejoin(chat, user_id, since, room="red", **fields):
    client = await chat.log_in(user_id)
    client.deliver(type="join", userId=user_id, roomId=room, since=since, **fields)
    return client


async def test_rejoin_replays_missed_then_live_messages():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 10)
        chat = MemoryChat(system, journal=journal)
        (ben,) = await clients_in(chat, "red", "ben")
        ann = await rejoin(chat, "ann", 4, id="q")
        await settle(system)
        joined, *rest = ann.hear()
        assert joined == messages.Joined(
            "red", "ann", "Joined room: red", seq=10, recovered=True, missed=6, request_id="q"
        )
        assert seqs(rest) == list(range(5, 11))
        assert summaries(ben.hear()) == ["UserJoined"]
        ben.deliver(type="chat_message", content="live")
        await settle(system)
        assert seqs(ann.hear()) == [11]


async def test_rejoin_without_missed_messages_recovers():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 3)
        ann = await rejoin(MemoryChat(system, journal=journal), "ann", 3)
        await settle(system)
        (joined,) = ann.hear()
        assert (joined.seq, joined.recovered, joined.missed, joined.lost) == (3, True, 0, None)


async def test_rejoin_reports_pruned_messages_as_lost():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 30)
        await journal.prune(Retention(keep_messages=10), START)
        ann = await rejoin(MemoryChat(system, journal=journal), "ann", 5)
        await settle(system)
        joined, *rest = ann.hear()
        assert (joined.recovered, joined.missed, joined.lost) == (False, 25, 15)
        assert seqs(rest) == list(range(21, 31))


@pytest.mark.parametrize("journal", [lambda: None, SlowJournal], ids=["off", "empty"])
async def test_rejoin_with_a_foreign_seq_recovers_nothing(journal):
    async with RunningSystem() as system:
        ann = await rejoin(MemoryChat(system, journal=journal()), "ann", 2**53 - 1)
        await settle(system)
        (joined,) = ann.hear()
        assert (joined.recovered, joined.missed, joined.lost) == (False, 0, None)
        ann.deliver(type="chat_message", content="hello")
        await settle(system)
        assert seqs(ann.hear()) == [joined.seq + 1]


async def test_rejoin_without_a_journal_reports_a_loss():
    """`recovered` is true only if no message was missed."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        (ben,) = await clients_in(chat, "red", "ben")
        ben.deliver(type="chat_message", content="one")
        await settle(system)
        (seq,) = seqs(ben.hear())
        answers = []
        for since in (seq, seq - 1):
            ann = await rejoin(chat, "ann", since)
            await settle(system)
            answers += [(message.recovered, message.seq) for message in ann.hear()]
        assert answers == [(True, seq), (False, seq)]


@pytest.mark.parametrize("seed", range(8))
async def test_rejoins_neither_miss_nor_repeat_messages(seed):
    """The other members keep posting, and the client disconnects at random."""
    chance = random.Random(seed)
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=chance.choice([0, 0.01, 0.3]))
        await fill(journal, chance.randrange(3 * PAGE_MESSAGES))
        chat = MemoryChat(system, journal=journal)
        talkers = await clients_in(chat, "red", "ben", "cyd", "dan")
        received = []
        ann, last = None, 0
        for n in range(300):
            chance.choice(talkers).deliver(type="chat_message", content=f"live {n}")
            if chance.random() < 0.1:
                await anyio.sleep(chance.random() / 10)
            if ann is not None:
                received += seqs(ann.hear())
            if chance.random() < 0.03:
                if ann is not None:
                    ann.disconnect()
                    await anyio.lowlevel.checkpoint()
                    received += seqs(ann.hear())
                last = received[-1] if received else last
                ann = await rejoin(chat, "ann", last)
        for _ in range(100):  # a long replay pauses while the client does not read
            await anyio.sleep(0.1)
            received += seqs(ann.hear())
        await settle(system)
        received += seqs(ann.hear())
        assert received == list(range(1, (await journal.extent("red")).last + 1))


async def test_replay_reads_pages_at_the_clients_pace():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        big = "x" * 1000
        for _ in range(40):
            await journal.commit([Append("red", [Draft("zoe", big) for _ in range(50)])], START)
        chat = MemoryChat(system, journal=journal)
        ann = await rejoin(chat, "ann", 0)
        await anyio.sleep(1)
        reads = len(journal.reads)
        assert reads <= 3
        assert ann.outbox.backlog <= 3 * 65_536
        received = []
        while len(received) < 2000:
            received += seqs(ann.hear())
            assert ann.outbox.backlog <= 3 * 65_536
            await anyio.sleep(0.1)
        assert received == list(range(1, 2001))
        assert len(journal.reads) > 10


@pytest.mark.parametrize("kept", [0, 100])
async def test_pruning_during_a_replay_puts_the_client_out(kept):
    """The client then rejoins with its last number and receives the number of lost messages."""

    class PrunedOnTheWay(SlowJournal):
        async def page(self, room_id, **where):
            page = await super().page(room_id, **where)
            await self.prune(Retention(keep_messages=kept or 1), START)
            return page

    async with RunningSystem() as system:
        journal = PrunedOnTheWay(room_messages=100_000)
        await fill(journal, 1000)
        ann = await rejoin(MemoryChat(system, journal=journal), "ann", 0)
        await settle(system)
        joined, *rest, error = ann.hear()
        assert (joined.recovered, joined.missed) == (True, 1000)
        assert seqs(rest) == list(range(1, PAGE_MESSAGES + 1))
        assert (error.code, error.room_id) == ("internal_failure", "red")
        await settle(system)
        assert system.find(ROOMS, "red") is None


async def test_client_that_does_not_read_a_replay_is_closed():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        for _ in range(10):
            await journal.commit([Append("red", [Draft("zoe", "x" * 1000) for _ in range(50)])], START)
        ann = await rejoin(MemoryChat(system, journal=journal), "ann", 0)
        await anyio.sleep(29)
        assert ann.outbox.closing is None
        await anyio.sleep(2)
        assert ann.outbox.closing.code == 4008
        ann.disconnect()
        await settle(system)
        assert ann.session.is_stopped


async def test_held_outbox_overflow_closes_with_4008():
    outbox = QueueOutbox(131_072)
    held = HeldOutbox(outbox, 131_072)
    block = Block([b"x" * 50_000])
    assert held.offer(block)
    assert held.offer(block)
    assert held.backlog == 100_000
    assert not held.offer(block)
    assert outbox.closing.code == 4008
    assert not held.offer(block)


async def test_held_outbox_passes_on_in_order():
    outbox = QueueOutbox(0)
    held = HeldOutbox(outbox, 0)
    for text in (b"1", b"2"):
        held.offer(Block([text]))
    assert outbox.backlog == 0
    held.release()
    held.offer(Block([b"3"]))
    assert [await outbox.take() for _ in range(3)] == [["1"], ["2"], ["3"]]
    held.offer(Block([b"45"]))
    assert held.backlog == 2
    held.close(1000, "done")
    assert held.closing == outbox.closing == Closing(1000, "done")


async def test_held_outbox_close_delivers_what_it_holds():
    outbox = QueueOutbox(0)
    held = HeldOutbox(outbox, 0)
    held.offer(Block([b"1"]))
    held.close(1000, "done")
    assert [await outbox.take() for _ in range(2)] == [["1"], Closing(1000, "done")]


async def test_held_outbox_holds_exactly_its_bound():
    held = HeldOutbox(QueueOutbox(0), 100)
    assert held.offer(Block([b"x" * 50]))
    assert held.offer(Block([b"x" * 50]))
    assert not held.offer(Block([b"x"]))


async def test_disconnect_during_a_replay_leaves_once():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        for _ in range(40):
            await journal.commit([Append("red", [Draft("zoe", "x" * 1000) for _ in range(50)])], START)
        chat = MemoryChat(system, journal=journal)
        (ben,) = await clients_in(chat, "red", "ben")
        ann = await rejoin(chat, "ann", 0)
        await anyio.sleep(1)
        ann.outbox.close(1000, "gone")
        ann.disconnect()
        await settle(system)
        await anyio.sleep(1)
        await settle(system)
        assert summaries(ben.hear()) == ["UserJoined", "UserLeft"]


async def test_unreadable_journal_refuses_the_rejoin():
    """The session is not a member afterwards."""

    class Unreadable(SlowJournal):
        async def page(self, room_id, **where):
            raise StorageError("read messages", "a test", "the disk fails", "replace it")

    async with RunningSystem() as system:
        journal = Unreadable()
        await fill(journal, 3)
        chat = MemoryChat(system, journal=journal)
        (ben,) = await clients_in(chat, "red", "ben")
        ann = await rejoin(chat, "ann", 1, id="q")
        await settle(system)
        assert errors(ann.hear()) == [("internal_failure", "q")]
        ann.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ann.hear()) == [("not_in_room", "r")]
        assert summaries(ben.hear()) == ["UserJoined", "UserLeft"]


async def test_member_may_rejoin_its_room():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 3)
        chat = MemoryChat(system, journal=journal)
        ann, ben = await clients_in(chat, "red", "ann", "ben")
        ann.deliver(type="join", userId="ann", roomId="red", since=1)
        ann.deliver(type="chat_message", content="after")
        await settle(system)
        assert summaries(ann.hear()) == ["Joined", "2", "3", "after"]
        assert contents(ben.hear()) == ["after"]
        assert room_of(ann) is room_of(ben)


async def test_rejoin_to_a_room_that_cannot_open_fails():
    class Unreadable(SlowJournal):
        async def extent(self, room_id):
            raise StorageError("read messages", "a test", "the disk fails", "replace it")

    async with RunningSystem() as system:
        ann = await rejoin(MemoryChat(system, journal=Unreadable()), "ann", 1, id="q")
        await anyio.sleep(30)
        await settle(system)
        assert errors(ann.hear()) == [("internal_failure", "q")]


# -- queries --


async def query(system, client, **command):
    client.deliver(**command)
    await settle(system)
    (answer,) = client.hear()
    return answer


async def test_history_pages_in_both_directions():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 120)
        (ann,) = await clients_in(MemoryChat(system, journal=journal), "red", "ann")
        newest = await query(system, ann, type="history", id="q")
        assert (newest.first, newest.last, newest.more, newest.request_id) == (71, 120, True, "q")
        assert [message.seq for message in newest.messages] == list(range(71, 121))
        assert newest.messages[0].content == "71"
        older = await query(system, ann, type="history", before=newest.first, limit=100)
        assert (older.first, older.last, older.more) == (1, 70, False)
        newer = await query(system, ann, type="history", after=100, limit=5)
        assert (newer.first, newer.last, newer.more) == (101, 105, True)
        elsewhere = await query(system, ann, type="history", roomId="blue")
        assert (elsewhere.messages, elsewhere.first, elsewhere.last, elsewhere.more) == ([], None, None, False)
        assert len((await query(system, ann, type="history", limit=0)).messages) == 50
        assert len((await query(system, ann, type="history", limit=10**6)).messages) == 120


async def test_history_answer_fits_the_outbox():
    async with RunningSystem() as system:
        journal = SlowJournal()
        hostile = "\x01" * 4000  # six bytes of JSON each
        await journal.commit([Append("red", [Draft("zoe", hostile) for _ in range(100)])], START)
        (ann,) = await clients_in(MemoryChat(system, journal=journal), "red", "ann")
        newest = await query(system, ann, type="history", limit=100)
        assert (newest.last, newest.more) == (100, True)
        assert 1 <= len(newest.messages) <= 3
        oldest = await query(system, ann, type="history", after=0, limit=100)
        assert (oldest.first, oldest.more) == (1, True)


async def test_history_without_a_journal_is_refused():
    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system), "red", "ann")
        assert (await query(system, ann, type="history")).code == "no_history"


async def test_members_of_any_room_are_listed():
    """The request does not start a room."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann, _, _ = await clients_in(chat, "red", "ann", "ben", "ben")
        answer = await query(system, ann, type="members", id="q")
        assert answer == messages.MemberList("red", ["ann", "ben"], 2, request_id="q")
        assert await query(system, ann, type="members", roomId="blue") == messages.MemberList("blue", [], 0)
        (rooms,) = [node for node in system.tree() if node.path == "/rooms"]
        assert [room.path for room in rooms.children] == ["/rooms/room:red"]
        assert (await query(system, ann, type="members", roomId="\n")).code == "invalid_room_id"


async def test_long_member_list_is_cut(monkeypatch):
    monkeypatch.setattr("chat_actors.chat.room.MEMBERS_LISTED", 2)
    async with RunningSystem() as system:
        ann, *_ = await clients_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        assert await query(system, ann, type="members") == messages.MemberList("red", ["ann", "ben"], 3)


async def test_leave_is_answered_and_announced():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann, ben = await clients_in(chat, "red", "ann", "ben")
        assert await query(system, ann, type="leave", id="q") == messages.Left("red", request_id="q")
        assert summaries(ben.hear()) == ["UserLeft"]
        for command in ("leave", "members", "history"):
            assert (await query(system, ann, type=command)).code == "not_in_room"


async def test_ping_is_answered_before_authentication():
    async with RunningSystem() as system:
        client = await MemoryChat(system).connect()
        pong = await query(system, client, type="ping", id="q")
        assert (pong.request_id, pong.time[:4]) == ("q", "2026")


@pytest.mark.parametrize("command", ["leave", "members", "history"])
async def test_queries_require_authentication(command):
    async with RunningSystem() as system:
        client = await MemoryChat(system).connect()
        answer = await query(system, client, type=command, roomId="red", id="q")
        assert (answer.message, answer.request_id) == ("Authentication required", "q")
