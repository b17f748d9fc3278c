"""A room on a journal: what is heard is stored, and what is stored is heard."""

import anyio
import pytest

from chat_actors.chat.journal_writer import PRUNE_EVERY
from chat_actors.chat.room_messages import Flush, PostToRoom
from chat_actors.kernel import handles
from chat_actors.kernel.messages import Failure
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import format_timestamp, messages
from chat_actors.storage import Appended, Committed, Extent, Retention, StorageError, StoredMessage
from tests.chat.rig import (
    NO_LIMITS,
    START,
    Boom,
    FragileRoom,
    MemoryChat,
    SlowJournal,
    errors,
    kinds,
    people_in,
    said,
    seqs,
)
from tests.chat.test_chat import room_of

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


def writer_of(system):
    (cell,) = [cell for cell in system.family.everyone() if cell.path == "/journal"]
    return cell


def accepted(heard):
    return [
        (message.client_msg_id, message.seq, message.request_id)
        for message in heard
        if isinstance(message, messages.Accepted)
    ]


@pytest.mark.parametrize("names", [("ann",), ("ann", "ben", "cyd")])
async def test_a_message_is_heard_once_it_is_stored_and_not_before(names):
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=10)
        people = await people_in(MemoryChat(system, journal=journal), "red", *names)
        people[0].deliver(type="chat_message", content="hello")
        await anyio.sleep(9.9)
        assert [person.hear() for person in people] == [[] for _ in people]
        await anyio.sleep(0.2)
        for person in people:
            (heard,) = person.hear()
            assert (heard.content, heard.seq, heard.user_id) == ("hello", 1, "ann")
            assert heard.timestamp == format_timestamp((await journal.page("red", limit=1)).messages[0].at)


async def test_a_room_collects_while_a_commit_is_under_way_and_stores_it_all_at_once():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        people = await people_in(MemoryChat(system, journal=journal), "red", "ann", "ben", "cyd")
        people[0].deliver(type="chat_message", content="0")
        for n in range(1, 101):
            await anyio.sleep(0.005)
            people[n % 3].deliver(type="chat_message", content=str(n))
        await settle(system)
        assert [[len(append.drafts) for append in batch] for batch in journal.commits] == [[1], [100]]
        for person in people:
            heard = person.hear()
            assert said(heard) == [str(n) for n in range(101)]
            assert seqs(heard) == list(range(1, 102))


async def test_what_waits_of_all_rooms_is_one_commit():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        chat = MemoryChat(system, journal=journal)
        people = [(await people_in(chat, f"room-{n}", f"user-{n}"))[0] for n in range(20)]
        for person in people:
            person.deliver(type="chat_message", content="hello")
        await settle(system)
        assert [len(batch) for batch in journal.commits] == [20]
        assert [said(person.hear()) for person in people] == 20 * [["hello"]]


async def test_a_full_commit_leaves_the_rest_to_the_next(monkeypatch):
    monkeypatch.setattr("chat_actors.chat.journal_writer.COMMIT_DRAFTS", 5)
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        chat = MemoryChat(system, journal=journal)
        people = [(await people_in(chat, f"room-{n}", f"user-{n}"))[0] for n in range(20)]
        for person in people:
            person.deliver(type="chat_message", content="hello")
        await settle(system)
        assert [len(batch) for batch in journal.commits] == [5, 5, 5, 5]
        assert [said(person.hear()) for person in people] == 20 * [["hello"]]


async def test_who_switches_rooms_hears_what_they_said_before():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=1))
        ann, ben = await people_in(chat, "red", "ann", "ben")
        ann.deliver(type="chat_message", content="bye")
        ann.deliver(type="switch_room", roomId="blue")
        ann.deliver(type="chat_message", content="hi")
        await settle(system)
        assert [getattr(message, "content", type(message).__name__) for message in ann.hear()] == [
            "bye",
            "Joined",
            "hi",
        ]
        assert [getattr(message, "content", type(message).__name__) for message in ben.hear()] == ["bye", "UserLeft"]


async def test_who_vanishes_has_left_after_their_last_words():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=1))
        ann, ben = await people_in(chat, "red", "ann", "ben")
        ann.deliver(type="chat_message", content="bye")
        ann.vanish()
        await settle(system)
        assert kinds(ben.hear()) == ["bye", "UserLeft"]


async def test_a_storage_that_fails_is_told_to_the_sender_alone_and_later_it_works():
    async with RunningSystem() as system:
        journal = SlowJournal()
        ann, ben = await people_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        journal.fail_with = FULL
        ann.deliver(type="chat_message", content="lost", id="q1")
        ann.deliver(type="chat_message", content="lost too", clientMsgId="m1", id="q2")
        await settle(system)
        assert errors(ann.hear()) == [("not_stored", "q1"), ("not_stored", "q2")]
        assert ben.hear() == []
        journal.fail_with = None
        ann.deliver(type="chat_message", content="again", clientMsgId="m1", id="q3")
        await settle(system)
        assert accepted(heard := ann.hear()) == [("m1", 1, "q3")]
        assert said(heard) == said(ben.hear()) == ["again"]


async def test_what_is_accepted_comes_again_with_the_same_answer_over_other_connections():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        ann, ben = await people_in(chat, "red", "ann", "ben")
        command = {"type": "chat_message", "content": "once", "clientMsgId": "m1"}
        ann.deliver(**command, id="a")
        ann.deliver(**command, id="b")
        await settle(system)
        ann.deliver(**command, id="c")
        await settle(system)
        heard = ann.hear()
        assert said(heard) == ["once"]
        assert accepted(heard) == [("m1", 1, "a"), ("m1", 1, "b"), ("m1", 1, "c")]
        assert len({message.timestamp for message in heard}) == 1
        ann.vanish()
        (back,) = await people_in(chat, "red", "ann")
        back.deliver(**command)
        await settle(system)
        assert accepted(back.hear()) == [("m1", 1, None)]
        assert said(ben.hear()) == ["once"]


async def test_a_room_that_was_empty_comes_back_with_its_numbering():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        (ann,) = await people_in(chat, "red", "ann")
        ann.deliver(type="chat_message", content="one")
        await settle(system)
        room = room_of(ann)
        ann.vanish()
        await room.wait_stopped()
        (ben,) = await people_in(chat, "red", "ben")
        ben.deliver(type="chat_message", content="two")
        await settle(system)
        assert seqs(ben.hear()) == [2]


async def test_a_room_that_crashes_with_a_commit_under_way_hands_out_each_message_once():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=0.06))
        people = await people_in(chat, "red", "ann", "ben", "cyd")
        for n in range(30):
            people[n % 3].deliver(type="chat_message", content=str(n), clientMsgId=f"m{n}")
            if n % 10 == 5:
                room_of(people[0]).tell(Boom())
                await anyio.sleep(0.03)
        await settle(system)
        await anyio.sleep(5)
        for who, person in enumerate(people):
            heard = person.hear()
            assert said(heard) == [str(n) for n in range(30)]
            assert [name for name, _, _ in accepted(heard)] == [f"m{n}" for n in range(who, 30, 3)]
        assert system.statistics().restarts == 3


async def test_a_room_that_crashes_on_what_was_stored_hands_it_out_when_it_is_back():
    class CrashesOnce(FragileRoom):
        crashes = 0

        @handles
        def appended(self, message: Appended) -> None:
            if not CrashesOnce.crashes:
                CrashesOnce.crashes += 1
                self._broadcast(message.messages[:1])
                raise ValueError("in the middle of it")
            super().appended(message)

    async with RunningSystem() as system:
        chat = MemoryChat(system, room=CrashesOnce, journal=SlowJournal(seconds=1))
        people = await people_in(chat, "red", "ann", "ben", "cyd")
        for n in range(10):
            people[0].deliver(type="chat_message", content=str(n), clientMsgId=f"m{n}")
        people[1].vanish()
        await settle(system)
        await anyio.sleep(5)
        await settle(system)
        heard = people[0].hear()
        assert said(heard) == said(people[2].hear()) == [str(n) for n in range(10)]
        assert [name for name, _, _ in accepted(heard)] == [f"m{n}" for n in range(10)]
        assert system.statistics().restarts == 1


async def test_a_room_that_failed_for_good_with_a_commit_under_way_is_followed_by_one_that_knows_of_it():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=5))
        ann, ben = await people_in(chat, "red", "ann", "ben")
        room = room_of(ann)
        ann.deliver(type="chat_message", content="under way")
        await anyio.sleep(0.1)
        for _ in range(6):
            room.tell(Boom())
        await room.wait_stopped()
        ben.hear()
        ben.deliver(type="join", userId="ben", roomId="red", id="q")
        ben.deliver(type="chat_message", content="next")
        await settle(system)
        (joined, message) = [heard for heard in ben.hear() if not isinstance(heard, messages.Error)]
        assert (joined.seq, message.seq) == (1, 2)


async def test_a_writer_that_crashes_loses_nothing():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        people = await people_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        for n in range(5):
            people[n % 2].deliver(type="chat_message", content=str(n))
        writer_of(system).mailbox.put_system(Failure(ValueError("a bug in the writer")))
        await settle(system)
        await anyio.sleep(5)
        await settle(system)
        assert said(people[0].hear()) == said(people[1].hear()) == [str(n) for n in range(5)]


async def test_old_messages_are_removed_while_the_chat_goes_on():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        chat = MemoryChat(system, journal=journal, retention=Retention(keep_messages=10))
        (ann,) = await people_in(chat, "red", "ann")
        for n in range(1200):
            ann.deliver(type="chat_message", content=str(n))
        await settle(system)
        writer_of(system).mailbox.put_system(Failure(ValueError("a bug in the writer")))
        await anyio.sleep(PRUNE_EVERY + 1)
        assert await journal.extent("red") == Extent(1191, 1200)
        assert said(ann.hear()) == [str(n) for n in range(1200)]
        assert system.statistics().timers <= 2, "the room's and one of the writer's"


async def test_what_is_stored_elsewhere_is_heard_in_its_place_and_once():
    async with RunningSystem() as system:
        (ann,) = await people_in(MemoryChat(system, journal=SlowJournal()), "red", "ann")
        elsewhere = [StoredMessage(seq, "zoe", f"from afar {seq}", START) for seq in (1, 2)]
        room_of(ann).tell(Committed(elsewhere))
        room_of(ann).tell(Committed(elsewhere[1:]))
        await settle(system)
        assert said(ann.hear()) == ["from afar 1", "from afar 2"]


async def test_senders_wait_while_a_room_has_as_much_under_way_as_its_mailbox_holds():
    class TightRoom(FragileRoom):
        mailbox_capacity = 4

    async with RunningSystem() as system:
        journal = SlowJournal(seconds=10)
        chat = MemoryChat(system, room=TightRoom, journal=journal)
        people = await people_in(chat, "red", "ann", "ben", "cyd")
        for n in range(20):
            people[0].deliver(type="chat_message", content=str(n))
        await anyio.sleep(1)
        assert len(people[0].unread) > 10, "the socket is not read meanwhile"
        await settle(system)
        assert said(people[1].hear()) == [str(n) for n in range(20)]
        assert max(len(append.drafts) for batch in journal.commits for append in batch) <= 6


async def test_catching_up_waits_for_what_is_under_way():
    async with RunningSystem() as system:
        people = await people_in(MemoryChat(system, journal=SlowJournal(seconds=1)), "red", "ann", "ben", "cyd")
        people[0].deliver(type="chat_message", content="last words")
        await anyio.sleep(0.1)
        await room_of(people[0]).ask(Flush(), timeout=5)
        assert said(people[1].hear()) == ["last words"]


async def test_what_a_room_had_taken_when_the_system_stopped_is_stored():
    journal = SlowJournal(seconds=0.1)
    async with RunningSystem() as system:
        people = await people_in(MemoryChat(system, journal=journal), "red", "ann", "ben", "cyd")
        for n in range(5):
            room_of(people[0]).tell(PostToRoom(people[0].session, str(n)))
    stored = [draft.content for batch in journal.commits for append in batch for draft in append.drafts]
    assert stored == [str(n) for n in range(5)]


async def test_a_room_whose_place_cannot_be_found_out_closes_with_an_error():
    class Unreadable(SlowJournal):
        async def extent(self, room_id):
            raise FULL

    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=Unreadable())
        ann = await chat.log_in("ann")
        await ann.send(type="join", userId="ann", roomId="red")
        await settle(system)
        await anyio.sleep(30)
        assert errors(ann.hear()) == [("room_closed", None)]


async def test_without_a_journal_a_message_is_accepted_once_it_is_handed_out():
    async with RunningSystem() as system:
        ann, ben = await people_in(MemoryChat(system), "red", "ann", "ben")
        ann.deliver(type="chat_message", content="hello", clientMsgId="m1", id="q")
        await settle(system)
        heard = ann.hear()
        assert accepted(heard) == [("m1", seqs(ben.hear())[0], "q")]
        assert said(heard) == ["hello"]


async def test_a_message_too_many_for_the_writer_is_refused_and_not_forgotten():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=10)
        (ann,) = await people_in(MemoryChat(system, NO_LIMITS, journal=journal), "red", "ann")
        writer = writer_of(system)
        writer.mailbox.reserve(writer.mailbox.capacity)
        ann.deliver(type="chat_message", content="no room", id="q")
        await settle(system)
        assert errors(ann.hear()) == [("not_stored", "q")]
        writer.mailbox.release(writer.mailbox.capacity)
        ann.deliver(type="chat_message", content="room again")
        await settle(system)
        assert said(ann.hear()) == ["room again"]
