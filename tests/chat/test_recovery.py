"""Coming back: what was missed, what is said meanwhile and what comes live are one stream without a gap or a repeat."""

import random

import anyio
import anyio.lowlevel
import pytest

from chat_actors.chat import QueueOutbox
from chat_actors.chat.outbox import Block
from chat_actors.chat.recovery import PAGE_MESSAGES, HeldOutbox
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import messages
from chat_actors.storage import Append, Draft, Retention, StorageError
from tests.chat.rig import START, MemoryChat, SlowJournal, errors, kinds, people_in, said, seqs
from tests.chat.test_chat import room_of

pytestmark = pytest.mark.anyio


async def fill(journal, count, room="red"):
    for start in range(1, count + 1, 100):
        drafts = [Draft("zoe", str(n)) for n in range(start, min(start + 100, count + 1))]
        await journal.commit([Append(room, drafts)], START)
    journal.commits.clear()


async def come_back(chat, user_id, since, room="red", **fields):
    client = await chat.log_in(user_id)
    client.deliver(type="join", userId=user_id, roomId=room, since=since, **fields)
    return client


async def test_who_comes_back_hears_what_was_missed_and_then_what_is_live():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 10)
        chat = MemoryChat(system, journal=journal)
        (ben,) = await people_in(chat, "red", "ben")
        ann = await come_back(chat, "ann", 4, id="q")
        await settle(system)
        joined, *rest = ann.hear()
        assert joined == messages.Joined(
            "red", "ann", "Joined room: red", seq=10, recovered=True, missed=6, request_id="q"
        )
        assert seqs(rest) == list(range(5, 11))
        assert kinds(ben.hear()) == ["UserJoined"]
        ben.deliver(type="chat_message", content="live")
        await settle(system)
        assert seqs(ann.hear()) == [11]


async def test_who_missed_nothing_is_told_so():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 3)
        ann = await come_back(MemoryChat(system, journal=journal), "ann", 3)
        await settle(system)
        (joined,) = ann.hear()
        assert (joined.seq, joined.recovered, joined.missed, joined.lost) == (3, True, 0, None)


async def test_what_retention_has_eaten_is_told_truthfully():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 30)
        await journal.prune(Retention(keep_messages=10), START)
        ann = await come_back(MemoryChat(system, journal=journal), "ann", 5)
        await settle(system)
        joined, *rest = ann.hear()
        assert (joined.recovered, joined.missed, joined.lost) == (False, 25, 15)
        assert seqs(rest) == list(range(21, 31))


@pytest.mark.parametrize("journal", [lambda: None, SlowJournal], ids=["off", "empty"])
async def test_numbers_that_are_not_of_this_journal_are_not_taken_for_its_own(journal):
    async with RunningSystem() as system:
        ann = await come_back(MemoryChat(system, journal=journal()), "ann", 2**53 - 1)
        await settle(system)
        (joined,) = ann.hear()
        assert (joined.recovered, joined.missed, joined.lost) == (False, 0, None)
        ann.deliver(type="chat_message", content="hello")
        await settle(system)
        assert seqs(ann.hear()) == [joined.seq + 1]


async def test_without_a_journal_nobody_is_told_that_nothing_was_missed_unless_it_is_so():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        (ben,) = await people_in(chat, "red", "ben")
        ben.deliver(type="chat_message", content="one")
        await settle(system)
        (seq,) = seqs(ben.hear())
        answers = []
        for since in (seq, seq - 1):
            ann = await come_back(chat, "ann", since)
            await settle(system)
            answers += [(message.recovered, message.seq) for message in ann.hear()]
        assert answers == [(True, seq), (False, seq)]


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_missed_or_doubled_while_others_go_on_talking(seed):
    chance = random.Random(seed)
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=chance.choice([0, 0.01, 0.3]))
        await fill(journal, chance.randrange(3 * PAGE_MESSAGES))
        chat = MemoryChat(system, journal=journal)
        talkers = await people_in(chat, "red", "ben", "cyd", "dan")
        heard = []
        ann, last = None, 0
        for n in range(300):
            chance.choice(talkers).deliver(type="chat_message", content=f"live {n}")
            if chance.random() < 0.1:
                await anyio.sleep(chance.random() / 10)
            if ann is not None:
                heard += seqs(ann.hear())
            if chance.random() < 0.03:
                if ann is not None:
                    ann.vanish()
                    await anyio.lowlevel.checkpoint()
                    heard += seqs(ann.hear())
                last = heard[-1] if heard else last
                ann = await come_back(chat, "ann", last)
        for _ in range(100):  # while nothing is read, what is long is not sent on
            await anyio.sleep(0.1)
            heard += seqs(ann.hear())
        await settle(system)
        heard += seqs(ann.hear())
        assert heard == list(range(1, (await journal.extent("red")).last + 1))


async def test_a_long_absence_is_read_in_pages_and_no_faster_than_the_client_reads():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        big = "x" * 1000
        for _ in range(40):
            await journal.commit([Append("red", [Draft("zoe", big) for _ in range(50)])], START)
        chat = MemoryChat(system, journal=journal)
        ann = await come_back(chat, "ann", 0)
        await anyio.sleep(1)
        reads = len(journal.reads)
        assert reads <= 3
        assert ann.outbox.backlog <= 3 * 65_536
        heard = []
        while len(heard) < 2000:
            heard += seqs(ann.hear())
            assert ann.outbox.backlog <= 3 * 65_536
            await anyio.sleep(0.1)
        assert heard == list(range(1, 2001))
        assert len(journal.reads) > 10


@pytest.mark.parametrize("kept", [0, 100])
async def test_what_is_pruned_while_somebody_catches_up_is_no_hole_but_an_end(kept):
    """They come back with what they have heard, and are told what is lost."""

    class PrunedOnTheWay(SlowJournal):
        async def page(self, room_id, **where):
            page = await super().page(room_id, **where)
            await self.prune(Retention(keep_messages=kept or 1), START)
            return page

    async with RunningSystem() as system:
        journal = PrunedOnTheWay(room_messages=100_000)
        await fill(journal, 1000)
        ann = await come_back(MemoryChat(system, journal=journal), "ann", 0)
        await settle(system)
        joined, *rest = ann.hear()
        assert (joined.recovered, joined.missed) == (True, 1000)
        assert seqs(rest) == list(range(1, PAGE_MESSAGES + 1))
        assert (ann.outbox.closing.code, ann.outbox.closing.reason) == (1012, "retry after 0")


async def test_who_asks_for_what_was_missed_and_never_reads_is_closed():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        for _ in range(10):
            await journal.commit([Append("red", [Draft("zoe", "x" * 1000) for _ in range(50)])], START)
        ann = await come_back(MemoryChat(system, journal=journal), "ann", 0)
        await anyio.sleep(29)
        assert ann.outbox.closing is None
        await anyio.sleep(2)
        assert ann.outbox.closing.code == 4008
        ann.vanish()
        await settle(system)
        assert ann.session.is_stopped


async def test_who_is_away_for_too_long_in_a_room_that_never_rests_is_closed_and_comes_closer():
    outbox = QueueOutbox(131_072)
    held = HeldOutbox(outbox, 131_072)
    block = Block([b"x" * 50_000])
    assert held.offer(block)
    assert held.offer(block)
    assert held.backlog == 100_000
    assert not held.offer(block)
    assert outbox.closing.code == 4008
    assert not held.offer(block)


async def test_a_held_outbox_passes_on_in_order_once_it_is_released():
    outbox = QueueOutbox(0)
    held = HeldOutbox(outbox, 0)
    for text in (b"1", b"2"):
        held.offer(Block([text]))
    assert outbox.backlog == 0
    held.release()
    held.offer(Block([b"3"]))
    assert [await outbox.take() for _ in range(3)] == [["1"], ["2"], ["3"]]
    held.close(1000, "done")
    assert held.closing == outbox.closing


async def test_who_vanishes_while_catching_up_leaves_the_room_once():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        for _ in range(40):
            await journal.commit([Append("red", [Draft("zoe", "x" * 1000) for _ in range(50)])], START)
        chat = MemoryChat(system, journal=journal)
        (ben,) = await people_in(chat, "red", "ben")
        ann = await come_back(chat, "ann", 0)
        await anyio.sleep(1)
        ann.outbox.close(1000, "gone")
        ann.vanish()
        await settle(system)
        await anyio.sleep(1)
        await settle(system)
        assert kinds(ben.hear()) == ["UserJoined", "UserLeft"]


async def test_a_journal_that_cannot_be_read_is_an_error_and_nobody_is_half_in():
    class Unreadable(SlowJournal):
        async def page(self, room_id, **where):
            raise StorageError("read messages", "a test", "the disk fails", "replace it")

    async with RunningSystem() as system:
        journal = Unreadable()
        await fill(journal, 3)
        chat = MemoryChat(system, journal=journal)
        (ben,) = await people_in(chat, "red", "ben")
        ann = await come_back(chat, "ann", 1, id="q")
        await settle(system)
        assert errors(ann.hear()) == [("internal_failure", "q")]
        ann.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ann.hear()) == [("not_in_room", "r")]
        assert kinds(ben.hear()) == ["UserJoined", "UserLeft"]


async def test_who_is_in_the_room_already_may_ask_again():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 3)
        chat = MemoryChat(system, journal=journal)
        ann, ben = await people_in(chat, "red", "ann", "ben")
        ann.deliver(type="join", userId="ann", roomId="red", since=1)
        ann.deliver(type="chat_message", content="after")
        await settle(system)
        assert kinds(ann.hear()) == ["Joined", "2", "3", "after"]
        assert said(ben.hear()) == ["after"]
        assert room_of(ann) is room_of(ben)


async def test_a_room_that_cannot_be_opened_is_an_error_and_not_tried_for_ever():
    class Unreadable(SlowJournal):
        async def extent(self, room_id):
            raise StorageError("read messages", "a test", "the disk fails", "replace it")

    async with RunningSystem() as system:
        ann = await come_back(MemoryChat(system, journal=Unreadable()), "ann", 1, id="q")
        await anyio.sleep(30)
        await settle(system)
        assert errors(ann.hear()) == [("room_closed", "q")]


# -- looking things up --


async def asked(system, client, **command):
    client.deliver(**command)
    await settle(system)
    (answer,) = client.hear()
    return answer


async def test_history_goes_both_ways():
    async with RunningSystem() as system:
        journal = SlowJournal()
        await fill(journal, 120)
        (ann,) = await people_in(MemoryChat(system, journal=journal), "red", "ann")
        newest = await asked(system, ann, type="history", id="q")
        assert (newest.first, newest.last, newest.more, newest.request_id) == (71, 120, True, "q")
        assert [message.seq for message in newest.messages] == list(range(71, 121))
        assert newest.messages[0].content == "71"
        older = await asked(system, ann, type="history", before=newest.first, limit=100)
        assert (older.first, older.last, older.more) == (1, 70, False)
        newer = await asked(system, ann, type="history", after=100, limit=5)
        assert (newer.first, newer.last, newer.more) == (101, 105, True)
        elsewhere = await asked(system, ann, type="history", roomId="blue")
        assert (elsewhere.messages, elsewhere.first, elsewhere.last, elsewhere.more) == ([], None, None, False)
        assert len((await asked(system, ann, type="history", limit=0)).messages) == 50
        assert len((await asked(system, ann, type="history", limit=10**6)).messages) == 120


async def test_an_answer_of_history_evicts_nobody_who_reads():
    async with RunningSystem() as system:
        journal = SlowJournal()
        hostile = "\x01" * 4000  # six bytes of JSON each
        await journal.commit([Append("red", [Draft("zoe", hostile) for _ in range(100)])], START)
        (ann,) = await people_in(MemoryChat(system, journal=journal), "red", "ann")
        newest = await asked(system, ann, type="history", limit=100)
        assert (newest.last, newest.more) == (100, True)
        assert 1 <= len(newest.messages) <= 3
        oldest = await asked(system, ann, type="history", after=0, limit=100)
        assert (oldest.first, oldest.more) == (1, True)


async def test_history_of_a_chat_without_a_journal_is_an_error():
    async with RunningSystem() as system:
        (ann,) = await people_in(MemoryChat(system), "red", "ann")
        assert (await asked(system, ann, type="history")).code == "no_history"


async def test_who_is_here_is_told_for_any_room_and_opens_none():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann, _, _ = await people_in(chat, "red", "ann", "ben", "ben")
        answer = await asked(system, ann, type="members", id="q")
        assert answer == messages.MemberList("red", ["ann", "ben"], 2, request_id="q")
        assert await asked(system, ann, type="members", roomId="blue") == messages.MemberList("blue", [], 0)
        (rooms,) = [node for node in system.tree() if node.path == "/rooms"]
        assert [room.path for room in rooms.children] == ["/rooms/room:red"]
        assert (await asked(system, ann, type="members", roomId="\n")).code == "invalid_room_id"


async def test_of_very_many_members_only_some_are_listed(monkeypatch):
    monkeypatch.setattr("chat_actors.chat.room.MEMBERS_LISTED", 2)
    async with RunningSystem() as system:
        ann, *_ = await people_in(MemoryChat(system), "red", "ann", "ben", "cyd")
        assert await asked(system, ann, type="members") == messages.MemberList("red", ["ann", "ben"], 3)


async def test_leaving_is_answered_and_told_to_the_others():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann, ben = await people_in(chat, "red", "ann", "ben")
        assert await asked(system, ann, type="leave", id="q") == messages.Left("red", request_id="q")
        assert kinds(ben.hear()) == ["UserLeft"]
        for command in ("leave", "members", "history"):
            assert (await asked(system, ann, type=command)).code == "not_in_room"


async def test_a_ping_is_answered_before_a_login_too():
    async with RunningSystem() as system:
        client = await MemoryChat(system).connect()
        pong = await asked(system, client, type="ping", id="q")
        assert (pong.request_id, pong.time[:4]) == ("q", "2026")


@pytest.mark.parametrize("command", ["leave", "members", "history"])
async def test_what_needs_a_login_says_so(command):
    async with RunningSystem() as system:
        client = await MemoryChat(system).connect()
        answer = await asked(system, client, type=command, roomId="red", id="q")
        assert (answer.message, answer.request_id) == ("Authentication required", "q")
