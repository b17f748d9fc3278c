"""The membership of a session: joins that fail, rooms that have just closed, and watches."""

import anyio
import pytest

from chat_actors.chat import Refused, RoomKind
from chat_actors.chat.recovery import PAGE_MESSAGES
from chat_actors.chat.room_messages import MemberRemoved, NotAMember
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import refusals
from chat_actors.storage import Append, Draft, Retention, StorageError
from tests.chat.rig import (
    START,
    MemoryChat,
    SlowJournal,
    chat_of_kinds,
    clients_in,
    contents,
    errors,
    room_of,
    seqs,
    summaries,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("how", [{}, {"since": 0}])
async def test_join_while_the_server_stops(how):
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann = await chat.log_in("ann")
        chat.chat.directory.stop()
        await chat.chat.directory.wait_stopped()
        ann.deliver(type="join", userId="ann", roomId="red", id="q", **how)
        await settle(system)
        assert errors(ann.hear()) == [("internal_failure", "q")]
        ann.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ann.hear()) == [("not_in_room", "r")]


async def test_join_of_a_room_that_has_just_closed():
    """The session starts a new room."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        (ben,) = await clients_in(chat, "red", "ben")
        ann, closing = await chat.log_in("ann"), room_of(ben)
        context = ann.session._cell.actor.context
        find, found = context.get_or_spawn, []

        def find_too_late(actor_type, key):
            found.append(closing if not found else find(actor_type, key))
            return found[-1]

        closing.stop()
        await closing.wait_stopped()
        context.get_or_spawn = find_too_late
        ann.deliver(type="join", userId="ann", roomId="red")
        ann.deliver(type="chat_message", content="hello")
        await settle(system)
        assert summaries(ann.hear()) == ["Joined", "hello"]
        assert room_of(ann) is found[1] is not closing


async def test_rejoin_without_a_journal_stays_open():
    async with RunningSystem() as system:
        (ben,) = await clients_in(MemoryChat(system), "red", "ben")
        ben.deliver(type="chat_message", content="one")
        await settle(system)
        (seq,) = seqs(ben.hear())
        ben.deliver(type="join", userId="ben", roomId="red", since=seq - 1)
        ben.deliver(type="chat_message", content="two")
        await settle(system)
        assert contents(ben.hear()) == ["two"]
        assert ben.outbox.closing is None


class PrunedOnTheWay(SlowJournal):
    """Keeps `keep` messages after the first call of `after`."""

    def __init__(self, after, keep):
        super().__init__()
        self._after, self._keep = after, Retention(keep_messages=keep)

    async def page(self, room_id, **where):
        page = await super().page(room_id, **where)
        if self._after == "page":
            await self.prune(self._keep, START)
        return page

    async def missed(self, room_id, **where):
        missed = await super().missed(room_id, **where)
        if self._after == "missed":
            await self.prune(self._keep, START)
        return missed


@pytest.mark.parametrize(("after", "received"), [("missed", 0), ("page", PAGE_MESSAGES)])
async def test_rejoin_fails_at_a_loss_of_one(after, received):
    """Retention removes the next message before the first page of the replay, or before the second."""
    async with RunningSystem() as system:
        journal = PrunedOnTheWay(after, keep=PAGE_MESSAGES + 99 - received)
        drafts = [Draft("zoe", str(n)) for n in range(PAGE_MESSAGES + 100)]
        await journal.commit([Append("red", drafts)], START)
        ann = await MemoryChat(system, journal=journal).log_in("ann")
        ann.deliver(type="join", userId="ann", roomId="red", since=0)
        await settle(system)
        assert seqs(ann.hear()) == list(range(1, received + 1))
        assert (ann.received[-1].code, ann.received[-1].room_id) == ("internal_failure", "red")


async def test_left_room_and_session_end_their_watches():
    async with RunningSystem() as system:
        ann, ben = await clients_in(MemoryChat(system), "red", "ann", "ben")
        red = room_of(ann)
        assert red._cell in ann.session._cell.watchers
        ann.deliver(type="switch_room", roomId="blue")
        await settle(system)
        assert red._cell not in ann.session._cell.watchers
        assert ann.session._cell not in red._cell.watchers
        assert ben.session._cell in red._cell.watchers
        red.stop()
        await anyio.sleep(1)
        assert summaries(ann.hear()) == ["Joined"]


class Fickle(RoomKind):
    """Raises the next one of `errors` at each check of a join, unless it is None."""

    rooms = "fickle-*"
    errors = ()

    async def may_join(self, user_id):
        errors = iter(Fickle.errors)
        error, Fickle.errors = next(errors, None), list(errors)
        if error is not None:
            raise error


def fickle_chat(system, *errors):
    Fickle.errors = errors
    return chat_of_kinds(system, Fickle)


@pytest.mark.parametrize("how", [{}, {"since": 0}])
async def test_join_refused_after_its_check(how):
    """The room decides again when the user joins. The session then is in no room."""
    async with RunningSystem() as system:
        chat = fickle_chat(system, None, Refused("full", "The room is full."))
        (ann,) = await clients_in(chat, "cafe", "ann")
        ann.deliver(type="join", userId="ann", roomId="fickle-red", id="q", **how)
        await settle(system)
        ((code, _),) = errors(ann.hear())
        assert code == "full"
        ann.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ann.hear()) == [("not_in_room", "r")]


async def test_crash_of_a_check_keeps_the_current_room():
    async with RunningSystem() as system:
        (ann,) = await clients_in(fickle_chat(system, ValueError("a bug in the kind")), "cafe", "ann")
        ann.deliver(type="join", userId="ann", roomId="fickle-red", id="q")
        ann.deliver(type="chat_message", content="still here")
        await settle(system)
        received = ann.hear()
        assert errors(received) == [("internal_failure", "q")]
        assert contents(received) == ["still here"]


async def test_join_of_the_same_room_is_not_announced():
    async with RunningSystem() as system:
        ann, ben = await clients_in(MemoryChat(system), "red", "ann", "ben")
        ann.deliver(type="join", userId="ann", roomId="red")
        await settle(system)
        assert summaries(ann.hear()) == ["Joined"]
        assert ben.hear() == []


async def test_join_of_an_invalid_room_keeps_the_room():
    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system), "red", "ann")
        ann.deliver(type="switch_room", roomId="\n", id="q")
        ann.deliver(type="chat_message", content="still here")
        await settle(system)
        received = ann.hear()
        assert errors(received) == [("invalid_room_id", "q")]
        assert contents(received) == ["still here"]


async def test_post_after_the_end_of_the_room_is_refused():
    async with RunningSystem() as system:
        (ann,) = await clients_in(MemoryChat(system), "red", "ann")
        room_of(ann).stop()
        await settle(system)
        ann.deliver(type="chat_message", content="hello?", id="q")
        await settle(system)
        closed, refused = ann.hear()
        assert (closed.code, closed.room_id) == ("room_closed", "red")
        assert (refused.code, refused.room_id, refused.request_id) == ("not_in_room", None, "q")


async def test_removal_from_an_earlier_room_is_ignored():
    """It was on its way when the session joined another room."""
    async with RunningSystem() as system:
        ann, _ = await clients_in(MemoryChat(system), "red", "ann", "ben")
        red = room_of(ann)
        ann.deliver(type="switch_room", roomId="blue")
        await settle(system)
        ann.session.tell(NotAMember(red, 9))
        ann.session.tell(MemberRemoved(red, 9, refusals.ROOM_FAILED))
        ann.deliver(type="chat_message", content="still here")
        await settle(system)
        assert summaries(ann.hear()) == ["Joined", "still here"]


class Unreadable(SlowJournal):
    """Tells nothing about missed messages once `is_broken` is set."""

    is_broken = False

    async def missed(self, room_id, **where):
        if self.is_broken:
            raise StorageError("read", "the journal", "is broken", "mend it")
        return await super().missed(room_id, **where)


async def test_failed_move_to_an_additional_room_reports_both():
    """The move leaves the current room, and the replay then fails in the room that was additional."""
    async with RunningSystem() as system:
        journal = Unreadable()
        (ann,) = await clients_in(MemoryChat(system, journal=journal), "red", "ann")
        ann.deliver(type="join", userId="ann", roomId="blue", additional=True)
        ann.deliver(type="chat_message", content="in blue", roomId="blue")
        await settle(system)
        ann.hear()
        journal.is_broken = True
        ann.deliver(type="join", userId="ann", roomId="blue", since=0, id="q")
        await settle(system)
        assert [(error.room_id, error.request_id) for error in ann.hear()] == [("blue", "q"), ("red", None)]
        ann.deliver(type="chat_message", content="in?", id="r")
        await settle(system)
        assert errors(ann.hear()) == [("not_in_room", "r")]
