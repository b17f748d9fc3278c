"""A room with a journal: each message is stored, then delivered."""

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
    clients_in,
    contents,
    errors,
    room_of,
    seqs,
    summaries,
)

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


def writer_of(system):
    (cell,) = [cell for cell in system.family.with_ending() if cell.path == "/journal"]
    return cell


def accepted(received):
    return [
        (message.client_msg_id, message.seq, message.request_id)
        for message in received
        if isinstance(message, messages.Accepted)
    ]


@pytest.mark.parametrize("names", [("ann",), ("ann", "ben", "cyd")])
async def test_message_is_delivered_once_it_is_stored(names):
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=10)
        clients = await clients_in(MemoryChat(system, journal=journal), "red", *names)
        clients[0].deliver(type="chat_message", content="hello")
        await anyio.sleep(9.9)
        assert [client.hear() for client in clients] == [[] for _ in clients]
        await anyio.sleep(0.2)
        for client in clients:
            (received,) = client.hear()
            assert (received.content, received.seq, received.user_id) == ("hello", 1, "ann")
            assert received.timestamp == format_timestamp((await journal.page("red", limit=1)).messages[0].at)


async def test_room_collects_drafts_during_a_commit():
    """The next commit stores them all."""
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        clients = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben", "cyd")
        clients[0].deliver(type="chat_message", content="0")
        for n in range(1, 101):
            await anyio.sleep(0.005)
            clients[n % 3].deliver(type="chat_message", content=str(n))
        await settle(system)
        assert [[len(append.drafts) for append in batch] for batch in journal.commits] == [[1], [100]]
        for client in clients:
            received = client.hear()
            assert contents(received) == [str(n) for n in range(101)]
            assert seqs(received) == list(range(1, 102))


async def test_one_commit_stores_the_drafts_of_all_rooms():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        chat = MemoryChat(system, journal=journal)
        clients = [(await clients_in(chat, f"room-{n}", f"user-{n}"))[0] for n in range(20)]
        for client in clients:
            client.deliver(type="chat_message", content="hello")
        await settle(system)
        assert [len(batch) for batch in journal.commits] == [20]
        assert [contents(client.hear()) for client in clients] == 20 * [["hello"]]


async def test_commit_stores_a_bounded_number_of_drafts(monkeypatch):
    monkeypatch.setattr("chat_actors.chat.journal_writer.COMMIT_DRAFTS", 5)
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        chat = MemoryChat(system, journal=journal)
        clients = [(await clients_in(chat, f"room-{n}", f"user-{n}"))[0] for n in range(20)]
        for client in clients:
            client.deliver(type="chat_message", content="hello")
        await settle(system)
        assert [len(batch) for batch in journal.commits] == [5, 5, 5, 5]
        assert [contents(client.hear()) for client in clients] == 20 * [["hello"]]


async def test_room_switch_waits_for_the_members_own_posts():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=1))
        ann, ben = await clients_in(chat, "red", "ann", "ben")
        ann.deliver(type="chat_message", content="bye")
        ann.deliver(type="switch_room", roomId="blue")
        ann.deliver(type="chat_message", content="hi")
        await settle(system)
        assert summaries(ann.hear()) == ["bye", "Joined", "hi"]
        assert summaries(ben.hear()) == ["bye", "UserLeft"]


async def test_disconnect_waits_for_the_members_own_posts():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=1))
        ann, ben = await clients_in(chat, "red", "ann", "ben")
        ann.deliver(type="chat_message", content="bye")
        ann.disconnect()
        await settle(system)
        assert summaries(ben.hear()) == ["bye", "UserLeft"]


async def test_storage_failure_is_reported_to_the_sender():
    """The other members receive nothing, and a later post is stored."""
    async with RunningSystem() as system:
        journal = SlowJournal()
        ann, ben = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        journal.fail_with = FULL
        ann.deliver(type="chat_message", content="lost", id="q1")
        ann.deliver(type="chat_message", content="lost too", clientMsgId="m1", id="q2")
        await settle(system)
        assert errors(ann.hear()) == [("not_stored", "q1"), ("not_stored", "q2")]
        assert ben.hear() == []
        journal.fail_with = None
        ann.deliver(type="chat_message", content="again", clientMsgId="m1", id="q3")
        await settle(system)
        assert accepted(received := ann.hear()) == [("m1", 1, "q3")]
        assert contents(received) == contents(ben.hear()) == ["again"]


async def test_repeated_post_is_accepted_again():
    """The answer is the same over another connection, and the message is delivered once."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        ann, ben = await clients_in(chat, "red", "ann", "ben")
        command = {"type": "chat_message", "content": "once", "clientMsgId": "m1"}
        ann.deliver(**command, id="a")
        ann.deliver(**command, id="b")
        await settle(system)
        ann.deliver(**command, id="c")
        await settle(system)
        received = ann.hear()
        assert contents(received) == ["once"]
        assert accepted(received) == [("m1", 1, "a"), ("m1", 1, "b"), ("m1", 1, "c")]
        assert len({message.timestamp for message in received}) == 1
        ann.disconnect()
        (reconnected,) = await clients_in(chat, "red", "ann")
        reconnected.deliver(**command)
        await settle(system)
        assert accepted(reconnected.hear()) == [("m1", 1, None)]
        assert contents(ben.hear()) == ["once"]


async def test_reopened_room_continues_its_numbering():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        (ann,) = await clients_in(chat, "red", "ann")
        ann.deliver(type="chat_message", content="one")
        await settle(system)
        room = room_of(ann)
        ann.disconnect()
        await room.wait_stopped()
        (ben,) = await clients_in(chat, "red", "ben")
        ben.deliver(type="chat_message", content="two")
        await settle(system)
        assert seqs(ben.hear()) == [2]


async def test_room_crash_during_a_commit_loses_nothing():
    """Each message is delivered and accepted once."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=0.06))
        clients = await clients_in(chat, "red", "ann", "ben", "cyd")
        for n in range(30):
            clients[n % 3].deliver(type="chat_message", content=str(n), clientMsgId=f"m{n}")
            if n % 10 == 5:
                room_of(clients[0]).tell(Boom())
                await anyio.sleep(0.03)
        await settle(system)
        await anyio.sleep(5)
        for number, client in enumerate(clients):
            received = client.hear()
            assert contents(received) == [str(n) for n in range(30)]
            assert [name for name, _, _ in accepted(received)] == [f"m{n}" for n in range(number, 30, 3)]
        assert system.statistics().restarts == 3


async def test_room_crash_during_delivery_loses_nothing():
    """The restarted room delivers the other messages, and accepts all."""

    class CrashesOnce(FragileRoom):
        crashes = 0

        @handles
        async def appended(self, message: Appended) -> None:
            if not CrashesOnce.crashes:
                CrashesOnce.crashes += 1
                self._execute(self.core.broadcast(message.messages[:1]))
                raise ValueError("a crash after the first message")
            await super().appended(message)

    async with RunningSystem() as system:
        chat = MemoryChat(system, room=CrashesOnce, journal=SlowJournal(seconds=1))
        clients = await clients_in(chat, "red", "ann", "ben", "cyd")
        for n in range(10):
            clients[0].deliver(type="chat_message", content=str(n), clientMsgId=f"m{n}")
        clients[1].disconnect()
        await settle(system)
        await anyio.sleep(5)
        await settle(system)
        received = clients[0].hear()
        assert contents(received) == contents(clients[2].hear()) == [str(n) for n in range(10)]
        assert [name for name, _, _ in accepted(received)] == [f"m{n}" for n in range(10)]
        assert system.statistics().restarts == 1


async def test_new_room_waits_for_the_previous_commit():
    """A room that failed leaves a commit in flight. The next actor for the room continues its numbering."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal(seconds=5))
        ann, ben = await clients_in(chat, "red", "ann", "ben")
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
        (joined, message) = [received for received in ben.hear() if not isinstance(received, messages.Error)]
        assert (joined.seq, message.seq) == (1, 2)


async def test_writer_crash_loses_nothing():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=1)
        clients = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben")
        for n in range(5):
            clients[n % 2].deliver(type="chat_message", content=str(n))
        writer_of(system).mailbox.put_system(Failure(ValueError("a bug in the writer")))
        await settle(system)
        await anyio.sleep(5)
        await settle(system)
        assert contents(clients[0].hear()) == contents(clients[1].hear()) == [str(n) for n in range(5)]


async def test_old_messages_are_pruned_during_the_chat():
    async with RunningSystem() as system:
        journal = SlowJournal(room_messages=10_000)
        chat = MemoryChat(system, journal=journal, retention=Retention(keep_messages=10))
        (ann,) = await clients_in(chat, "red", "ann")
        for n in range(1200):
            ann.deliver(type="chat_message", content=str(n))
        await settle(system)
        writer_of(system).mailbox.put_system(Failure(ValueError("a bug in the writer")))
        await anyio.sleep(PRUNE_EVERY + 1)
        assert await journal.extent("red") == Extent(1191, 1200)
        assert contents(ann.hear()) == [str(n) for n in range(1200)]
        assert system.statistics().timers <= 2, "the room's and one of the writer's"


async def test_messages_committed_elsewhere_are_delivered():
    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system, journal=SlowJournal()), "red", "ann")
        committed = [StoredMessage(seq, "zoe", f"another process {seq}", START) for seq in (1, 2)]
        room_of(ann).tell(Committed(committed))
        room_of(ann).tell(Committed(committed[1:]))
        await settle(system)
        assert contents(ann.hear()) == ["another process 1", "another process 2"]


async def test_drafts_occupy_mailbox_slots():
    """Senders wait while drafts and waiting messages together fill the mailbox."""

    class TightRoom(FragileRoom):
        mailbox_capacity = 4

    async with RunningSystem() as system:
        journal = SlowJournal(seconds=2)
        chat = MemoryChat(system, room=TightRoom, journal=journal)
        clients = await clients_in(chat, "red", "ann", "ben", "cyd")
        for n in range(20):
            clients[0].deliver(type="chat_message", content=str(n))
        await anyio.sleep(1)
        assert len(clients[0].unread) > 10, "the transport stops reading"
        await settle(system)
        assert contents(clients[1].hear()) == [str(n) for n in range(20)]
        assert max(len(append.drafts) for batch in journal.commits for append in batch) <= 6


async def test_flush_waits_for_pending_messages():
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system, journal=SlowJournal(seconds=1)), "red", "ann", "ben", "cyd")
        clients[0].deliver(type="chat_message", content="last words")
        await anyio.sleep(0.1)
        await room_of(clients[0]).ask(Flush(), timeout=5)
        assert contents(clients[1].hear()) == ["last words"]


async def test_system_stop_stores_accepted_messages():
    journal = SlowJournal(seconds=0.1)
    async with RunningSystem() as system:
        clients = await clients_in(MemoryChat(system, journal=journal), "red", "ann", "ben", "cyd")
        for n in range(5):
            room_of(clients[0]).tell(PostToRoom(clients[0].session, str(n)))
    stored = [draft.content for batch in journal.commits for append in batch for draft in append.drafts]
    assert stored == [str(n) for n in range(5)]


async def test_room_that_cannot_load_its_position_closes():
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


async def test_message_without_a_journal_is_accepted():
    async with RunningSystem() as system:
        ann, ben = await clients_in(MemoryChat(system), "red", "ann", "ben")
        ann.deliver(type="chat_message", content="hello", clientMsgId="m1", id="q")
        await settle(system)
        received = ann.hear()
        assert accepted(received) == [("m1", seqs(ben.hear())[0], "q")]
        assert contents(received) == ["hello"]


async def test_full_writer_refuses_a_message():
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=10)
        (ann,) = await clients_in(MemoryChat(system, NO_LIMITS, journal=journal), "red", "ann")
        writer = writer_of(system)
        writer.mailbox.reserve(writer.mailbox.capacity)
        ann.deliver(type="chat_message", content="no room", id="q")
        await settle(system)
        assert errors(ann.hear()) == [("not_stored", "q")]
        writer.mailbox.release(writer.mailbox.capacity)
        ann.deliver(type="chat_message", content="room again")
        await settle(system)
        assert contents(ann.hear()) == ["room again"]
