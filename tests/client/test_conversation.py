"""One user over many connections, against the real actors: the line may break after any message."""

import itertools
import logging
import random

import anyio
import msgspec
import pytest

from chat_actors.chat import Frame, Limits
from chat_actors.client import Conversation, Gap, Refused, TooMuchUnsent, generate_key
from chat_actors.client.conversation_events import RequestAnswered, RequestRefused, Resumed
from chat_actors.client.queries import MAX_QUERIES_IN_FLIGHT
from chat_actors.kernel.testing import RunningSystem, settle, virtual_asyncio
from chat_actors.protocol import Join, Leave, ReadHistory, decode_command, encode, messages, refusals
from chat_actors.storage import Retention, StorageError
from tests.chat.rig import KEY, NO_LIMITS, START, Boom, MemoryChat, SlowJournal
from tests.chat.test_chat import room_of

pytestmark = pytest.mark.anyio
FULL = StorageError("store messages", "a test", "the disk is full", "free some space")


@pytest.fixture
def anyio_backend():
    return virtual_asyncio()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


class Line:
    """Carries texts between a conversation and a chat in memory, one at a time, and may be cut between any two."""

    def __init__(self, chat, user_id):
        ids = itertools.count()
        self.chat = chat
        self.conversation = Conversation(user_id, KEY, new_id=lambda: f"{user_id}-{next(ids)}")
        self.client = None
        self.texts = []
        self.events = []

    async def connect(self):
        self.client = await self.chat.connect()
        self.conversation.connected()

    def cut(self):
        """What was on its way, either way, is lost."""
        self.client.vanish()
        self.texts.clear()
        self.client = None
        self.conversation.disconnected()

    def send_one(self):
        """Let the conversation send. Whether there was something."""
        sent = self.conversation.to_send()
        for text in sent:
            self.client.unread.append(Frame(text))
        self.client.resume()
        return bool(sent)

    def receive_one(self):
        """Let the conversation hear one text. Whether there was one."""
        for block in self.client.outbox._blocks:
            self.texts += block.texts
        self.client.outbox._blocks.clear()
        self.client.outbox._size = 0
        if self.texts:
            self.events += self.conversation.receive(self.texts.pop(0))
            return True
        return False

    async def flow(self):
        """Both ways, until nothing moves any more; what has failed is tried again."""
        idle = 0
        while idle < 3:
            await settle(self.chat.system)
            moved = self.send_one() | self.receive_one()
            if not moved and self.conversation.needs_retry:
                await anyio.sleep(1)
                self.conversation.retry()
                moved = True
            idle = 0 if moved else idle + 1

    def done(self):
        return [event.request_id for event in self.events if isinstance(event, RequestAnswered)]

    def said(self):
        return [event.content for event in self.events if isinstance(event, messages.ChatMessage)]

    def seqs(self):
        return [event.seq for event in self.events if isinstance(event, messages.ChatMessage)]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


async def test_what_is_said_is_done_and_heard():
    async with RunningSystem() as system:
        line = Line(MemoryChat(system, journal=SlowJournal()), "ann")
        wanted = [line.conversation.join("red"), line.conversation.post("one"), line.conversation.post("two")]
        await line.connect()
        await line.flow()
        assert line.done() == wanted
        assert line.said() == ["one", "two"]
        assert line.conversation.room_id == "red"
        assert line.of(Resumed) == []


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("journal", [True, False], ids=["journal", "off"])
async def test_over_a_line_that_breaks_all_is_said_once_and_heard_once_in_order(seed, journal):
    chance = random.Random(seed)
    async with RunningSystem() as system:
        journal = SlowJournal(seconds=0.02, room_messages=100_000) if journal else None
        chat = MemoryChat(system, journal=journal)
        lines = [Line(chat, name) for name in ("ann", "ben", "cyd")]
        wanted = {line: [line.conversation.join("red")] for line in lines}
        for line in lines:
            await line.connect()
            await line.flow()
        for n in range(400):
            line = chance.choice(lines)
            if line.client is None:
                await line.connect()
            match chance.choices(["say", "send", "receive", "cut", "crash", "wait"], [20, 40, 60, 3, 1, 10])[0]:
                case "say":
                    wanted[line].append(line.conversation.post(f"{line.conversation.user_id} {n}"))
                case "send":
                    line.send_one()
                case "receive":
                    line.receive_one()
                    if line.conversation.needs_retry and chance.random() < 0.3:
                        line.conversation.retry()
                case "cut" if journal is not None:
                    line.cut()
                case "crash" if inside := [other for other in lines if in_room(other)]:
                    room_of(inside[0].client).tell(Boom())
                    await anyio.sleep(61)  # a room that crashes too often closes: that is a test of its own
                case _:
                    await anyio.sleep(chance.random() / 20)
        for line in lines:
            if line.client is None:
                await line.connect()
        for _ in range(3):
            for line in lines:
                await line.flow()
        for line in lines:
            assert line.done() == wanted[line]
            assert line.of(RequestRefused) == line.of(Gap) == []
        # Each hears from their own first join on; the last to join has heard what all have.
        everything = lines[0].said()
        assert sorted(everything) == sorted(set(everything))
        for line in lines:
            mine = [content for content in everything if content.startswith(line.conversation.user_id)]
            assert [int(content.split()[1]) for content in mine] == sorted(int(c.split()[1]) for c in mine)
            assert len(mine) == len(wanted[line]) - 1
            assert line.said() == everything[len(everything) - len(line.said()) :]
            assert line.seqs() == sorted(set(line.seqs()))


def in_room(line):
    if line.client is None or line.client.session.is_stopped:
        return False
    membership = getattr(line.client.session._cell.actor, "_membership", None)
    return membership is not None and membership.room is not None


async def test_what_retention_has_eaten_meanwhile_is_an_explicit_gap():
    async with RunningSystem() as system:
        journal = SlowJournal()
        chat = MemoryChat(system, journal=journal)
        ann, ben = Line(chat, "ann"), Line(chat, "ben")
        for line in (ann, ben):
            line.conversation.join("red")
            await line.connect()
            await line.flow()
        ann.cut()
        for n in range(20):
            ben.conversation.post(str(n))
        await ben.flow()
        await journal.prune(Retention(keep_messages=5), START)
        await ann.connect()
        await ann.flow()
        assert ann.of(Gap) == [Gap("red", 15)]
        assert ann.said() == [str(n) for n in range(15, 20)]
        kinds = [type(event) for event in ann.events]
        assert kinds.index(Resumed) < kinds.index(Gap) < kinds.index(messages.ChatMessage)


async def test_a_server_that_has_forgotten_everything_is_a_gap_of_unknown_size():
    async with RunningSystem() as system, RunningSystem() as other:
        chat = MemoryChat(system, journal=SlowJournal())
        ann = Line(chat, "ann")
        ann.conversation.join("red")
        for n in range(5):
            ann.conversation.post(str(n))
        await ann.connect()
        await ann.flow()
        ann.cut()
        ann.events.clear()
        ann.chat = MemoryChat(other, journal=SlowJournal())
        ann.conversation.post("new")
        await ann.connect()
        await ann.flow()
        assert ann.of(Gap) == [Gap("red", None)]
        assert ann.said() == ["new"]


async def with_history(system, count, *, keep=None):
    """A chat with a room in which so much has been said, and the numbers of that."""
    journal = SlowJournal()
    chat = MemoryChat(system, journal=journal)
    ben = Line(chat, "ben")
    ben.conversation.join("red")
    for n in range(count):
        ben.conversation.post(str(n))
    await ben.connect()
    await ben.flow()
    if keep is not None:
        await journal.prune(Retention(keep_messages=keep), START)
    return chat, ben.seqs()


async def test_who_knows_the_room_up_to_a_message_hears_the_rest_once_however_often_the_line_breaks():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 10)
        ann = Line(chat, "ann")
        wanted = [ann.conversation.join("red", since=seqs[3]), ann.conversation.post("here")]
        await ann.connect()
        while not ann.of(messages.ChatMessage):  # the line breaks in the middle of what was missed
            ann.send_one()
            ann.receive_one()
            await settle(system)
        ann.cut()
        await ann.connect()
        await ann.flow()
        assert ann.said() == ["4", "5", "6", "7", "8", "9", "here"]
        assert ann.done() == wanted
        assert ann.of(Gap) == []


async def test_what_is_not_kept_any_more_of_what_came_since_is_a_gap_before_the_rest():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 10, keep=2)
        ann = Line(chat, "ann")
        ann.conversation.join("red", since=seqs[3])
        await ann.connect()
        await ann.flow()
        assert ann.of(Gap) == [Gap("red", 4)]
        assert ann.said() == ["8", "9"]
        kinds = [type(event) for event in ann.events]
        assert kinds.index(messages.Joined) < kinds.index(Gap) < kinds.index(messages.ChatMessage)


async def test_who_knows_a_number_that_the_room_never_had_is_told_of_a_gap_and_hears_what_comes():
    async with RunningSystem() as system:
        chat, seqs = await with_history(system, 3)
        ann = Line(chat, "ann")
        ann.conversation.join("red", since=seqs[-1] + 1000)
        ann.conversation.post("new")
        await ann.connect()
        await ann.flow()
        assert ann.of(Gap) == [Gap("red", None)]
        assert ann.said() == ["new"]


async def test_what_fails_for_now_is_tried_again_in_order():
    async with RunningSystem() as system:
        journal = SlowJournal()
        ann = Line(MemoryChat(system, journal=journal), "ann")
        ann.conversation.join("red")
        await ann.connect()
        await ann.flow()
        journal.fail_with = FULL
        wanted = [ann.conversation.post(str(n)) for n in range(3)]
        await settle(system)
        for _ in range(20):
            ann.send_one()
            await settle(system)
            ann.receive_one()
        assert ann.conversation.needs_retry
        assert ann.said() == []
        journal.fail_with = None
        await ann.flow()
        assert ann.said() == ["0", "1", "2"]
        assert ann.done()[1:] == wanted


async def test_a_limit_on_frames_is_waited_out():
    async with RunningSystem() as system:
        limits = Limits(registrations=0, messages_per_second=1, message_burst=6)
        ann = Line(MemoryChat(system, limits, journal=SlowJournal()), "ann")
        ann.conversation.join("red")
        for n in range(10):
            ann.conversation.post(str(n))
        await ann.connect()
        await ann.flow()
        assert ann.said() == [str(n) for n in range(10)]


async def test_what_would_be_refused_again_is_told_and_the_rest_goes_on():
    async with RunningSystem() as system:
        ann = Line(MemoryChat(system, journal=SlowJournal()), "ann")
        await ann.connect()
        nowhere = ann.conversation.post("in no room")
        ann.conversation.join("red")
        too_long = ann.conversation.post("x" * 5000)
        ann.conversation.post("fine")
        await ann.flow()
        refused = [(event.request_id, event.error.code) for event in ann.of(RequestRefused)]
        assert refused == [(nowhere, "not_in_room"), (too_long, "content_too_long")]
        assert ann.said() == ["fine"]


async def test_a_room_that_was_closed_is_entered_again():
    async with RunningSystem() as system:
        ann = Line(MemoryChat(system, NO_LIMITS, journal=SlowJournal()), "ann")
        ann.conversation.join("red")
        await ann.connect()
        await ann.flow()
        room = room_of(ann.client)
        for _ in range(6):
            room.tell(Boom())
        await room.wait_stopped()
        ann.conversation.post("still here")
        await ann.flow()
        assert ann.said() == ["still here"]
        assert ann.of(messages.Error) == []


async def test_lookups_go_out_of_turn_and_are_asked_again():
    async with RunningSystem() as system:
        chat = MemoryChat(system, journal=SlowJournal())
        ann = Line(chat, "ann")
        ann.conversation.join("red")
        ann.conversation.post("one")
        await ann.connect()
        await ann.flow()
        asked = ann.conversation.query(lambda request_id: ReadHistory(request_id=request_id))
        ann.send_one()
        ann.cut()
        await ann.connect()
        await ann.flow()
        (answer,) = [event.answer for event in ann.of(RequestAnswered) if event.request_id == asked]
        assert [message.content for message in answer.messages] == ["one"]
        bad = ann.conversation.query(lambda request_id: ReadHistory("\n", request_id=request_id))
        await ann.flow()
        assert [event.request_id for event in ann.of(RequestRefused)] == [bad]


async def test_leaving_means_no_room_to_come_back_to():
    async with RunningSystem() as system:
        ann = Line(MemoryChat(system, journal=SlowJournal()), "ann")
        ann.conversation.join("red")
        ann.conversation.leave()
        await ann.connect()
        await ann.flow()
        assert ann.conversation.room_id is None
        ann.cut()
        await ann.connect()
        await ann.flow()
        assert len(ann.of(messages.Joined)) == 1


async def test_a_wrong_key_is_refused():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await chat.log_in("ann")
        line = Line(chat, "ann")
        line.conversation = Conversation("ann", generate_key(2048), new_id=lambda: "x")
        await line.connect()
        with pytest.raises(Refused, match="Invalid signature"):
            await line.flow()


def test_what_waits_is_bounded():
    conversation = Conversation("ann", KEY, new_id=itertools.count().__next__, max_unanswered=3)
    for n in range(3):
        conversation.post(str(n))
    with pytest.raises(TooMuchUnsent, match="3 commands"):
        conversation.post("3")
    assert conversation.unanswered == 3


def test_a_message_that_comes_twice_is_heard_once():
    conversation = conversation_in_red(heard=5)
    assert hear(conversation, *said(7), *said(7)) == said(7)


def test_nothing_can_come_before_there_is_a_connection():
    with pytest.raises(RuntimeError):
        Conversation("ann", KEY, new_id=lambda: "x").receive("{}")


def conversation_in_red(heard):
    """Logged in again after a break, having heard so many of the room's messages."""
    ids = itertools.count()
    conversation = Conversation("ann", KEY, new_id=lambda: f"id{next(ids)}")
    wanted = conversation.join("red")
    for joined in (messages.joined("ann", "red", wanted, heard), None):
        conversation.connected()
        conversation.receive(encode(messages.Challenge("AAAA")))
        conversation.receive(encode(messages.authenticated("ann")))
        if joined is not None:
            conversation.receive(encode(joined))
            conversation.disconnected()
    return conversation


def sent_by(conversation):
    return [decode_command(text) for text in conversation.to_send()]


def hear(conversation, *told):
    return [event for message in told for event in conversation.receive(encode(message))]


def said(*seqs):
    return [messages.ChatMessage("ben", "red", str(seq), "now", seq) for seq in seqs]


def rejoined(rejoin, seq, lost):
    joined = messages.joined("ann", "red", rejoin.request_id, seq)
    return msgspec.structs.replace(joined, recovered=lost == 0, missed=seq - rejoin.since, lost=lost or None)


def test_a_gap_is_told_once_whatever_comes_between_a_rejoin_and_its_answer():
    conversation = conversation_in_red(heard=5)
    first = sent_by(conversation)[-1]
    late = hear(conversation, refusals.ROOM_CLOSED.as_error())
    conversation.retry()
    second = sent_by(conversation)[-1]
    assert (late, first.since, second.since) == ([], 5, 5)
    assert hear(conversation, rejoined(first, 30, 15), *said(*range(21, 31))) == [
        Resumed(),
        Gap("red", 15),
        *said(*range(21, 31)),
    ]
    # Meanwhile more was pruned, of what has been heard already and of what has not.
    assert hear(conversation, rejoined(second, 40, 30), *said(*range(36, 41))) == [Gap("red", 5), *said(*range(36, 41))]


def test_a_gap_that_nothing_follows_is_not_told_again_after_the_next_break():
    conversation = conversation_in_red(heard=5)
    assert hear(conversation, rejoined(sent_by(conversation)[-1], 20, 15)) == [Resumed(), Gap("red", 15)]
    conversation.disconnected()
    conversation.connected()
    hear(conversation, messages.Challenge("AAAA"), messages.authenticated("ann"))
    rejoin = sent_by(conversation)[-1]
    assert rejoin.since == 5
    assert hear(conversation, rejoined(rejoin, 22, 16), *said(22)) == [Resumed(), Gap("red", 1), *said(22)]


def test_numbers_that_are_left_out_are_no_gap():
    conversation = conversation_in_red(heard=5)
    assert hear(conversation, *said(6, 9)) == said(6, 9)


def test_after_new_numbers_nobody_relies_on_a_rejoin_by_the_old_ones():
    conversation = conversation_in_red(heard=5)
    first = sent_by(conversation)[-1]
    hear(conversation, refusals.ROOM_CLOSED.as_error())
    conversation.retry()
    second = sent_by(conversation)[-1]
    forgotten = msgspec.structs.replace(rejoined(first, 2, 0), recovered=False, missed=None)
    assert hear(conversation, forgotten, *said(3)) == [Resumed(), Gap("red", None), *said(3)]
    assert hear(conversation, rejoined(second, 7, 0), *said(6, 7)) == [Gap("red", None), *said(6, 7)]


def test_a_lookup_that_fails_for_now_is_asked_again():
    conversation = conversation_in_red(heard=5)
    hear(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    asked = conversation.query(lambda request_id: ReadHistory(request_id=request_id))
    for refusal in (refusals.INTERNAL_FAILURE, refusals.TOO_MANY_FRAMES):
        assert [command.request_id for command in sent_by(conversation)] == [asked]
        assert hear(conversation, refusal.as_error(asked if refusal is refusals.INTERNAL_FAILURE else None)) == []
        assert conversation.needs_retry
        conversation.retry()
    page = messages.History("red", [], None, None, False, request_id=asked)
    assert hear(conversation, page) == [RequestAnswered(asked, page)]


def test_a_replay_that_fails_after_its_answer_is_asked_for_again():
    conversation = conversation_in_red(heard=5)
    rejoin = sent_by(conversation)[-1]
    hear(conversation, rejoined(rejoin, 8, 0), *said(6))
    assert hear(conversation, refusals.INTERNAL_FAILURE.as_error(rejoin.request_id)) == []
    assert conversation.needs_retry
    assert not conversation.can_send
    conversation.retry()
    again = sent_by(conversation)[-1]
    assert (again.room_id, again.since) == ("red", 6)
    assert hear(conversation, rejoined(again, 8, 0), *said(7, 8)) == [Resumed(), *said(7, 8)]


def test_a_rejoin_that_overtakes_a_change_of_rooms_leads_nowhere():
    conversation = conversation_in_red(heard=5)
    hear(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    wanted = conversation.join("blue")
    conversation.post("for blue only")
    assert [command.room_id for command in sent_by(conversation)] == ["blue"]
    hear(conversation, refusals.ROOM_CLOSED.as_error())  # of red; the server has not got to the join yet
    conversation.retry()
    (rejoin,) = sent_by(conversation)
    assert rejoin.room_id == "red"
    hear(conversation, messages.joined("ann", "blue", wanted, 3))
    assert sent_by(conversation) == []  # in which room the server has us now is not known
    hear(conversation, rejoined(rejoin, 5, 0))
    (back,) = sent_by(conversation)
    assert (back.room_id, back.since) == ("blue", 3)
    joined = msgspec.structs.replace(messages.joined("ann", "blue", back.request_id, 3), recovered=True, missed=0)
    hear(conversation, joined)
    conversation.retry()
    assert [command.content for command in sent_by(conversation)] == ["for blue only"]
    assert conversation.room_id == "blue"


def test_a_rejoin_that_overtakes_the_leaving_of_a_room_is_undone():
    conversation = conversation_in_red(heard=5)
    hear(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    wanted = conversation.leave()
    sent_by(conversation)
    hear(conversation, refusals.ROOM_CLOSED.as_error())
    conversation.retry()
    (rejoin,) = sent_by(conversation)
    hear(conversation, messages.Left("red", request_id=wanted), rejoined(rejoin, 5, 0))
    (undone,) = sent_by(conversation)
    assert isinstance(undone, Leave)
    assert conversation.room_id is None
    assert conversation.can_send


def test_what_is_no_text_is_refused_before_it_waits():
    conversation = conversation_in_red(heard=5)
    hear(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    for ask in (
        lambda: conversation.post("\ud800"),
        lambda: conversation.join("\udcff"),
        lambda: conversation.query(lambda request_id: ReadHistory("\udcff", request_id=request_id)),
    ):
        with pytest.raises(ValueError, match="surrogates"):
            ask()
    conversation.post("fine")
    assert [command.content for command in sent_by(conversation)] == ["fine"]


def test_what_is_withdrawn_before_it_is_sent_is_never_sent():
    conversation = conversation_in_red(heard=5)
    hear(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    first, second = conversation.post("first"), conversation.post("second")
    conversation.cancel(second)
    conversation.cancel(first)  # it is on its way
    assert [command.content for command in sent_by(conversation)] == ["first"]
    accepted = messages.Accepted(first, 6, "now", request_id=first)
    assert hear(conversation, accepted) == [RequestAnswered(first, accepted)]
    assert sent_by(conversation) == []


def test_what_has_ended_the_connection_is_not_done_and_the_rest_goes_on():
    conversation = conversation_in_red(heard=5)
    hear(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    too_big = messages.Error("too big", "too_big")
    huge = conversation.post("huge")
    conversation.post("small")
    sent_by(conversation)
    assert conversation.fail_in_flight(too_big) == (RequestRefused(huge, too_big),)
    assert conversation.fail_in_flight(too_big) == ()
    assert conversation.unanswered == 1


def test_many_lookups_are_asked_a_few_at_a_time():
    conversation = conversation_in_red(heard=5)
    hear(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    wanted = [
        conversation.query(lambda request_id: ReadHistory(request_id=request_id))
        for _ in range(MAX_QUERIES_IN_FLIGHT + 3)
    ]
    asked = [command.request_id for command in sent_by(conversation)]
    assert asked == wanted[:MAX_QUERIES_IN_FLIGHT]
    hear(conversation, refusals.TOO_MANY_FRAMES.as_error())
    conversation.retry()
    assert [command.request_id for command in sent_by(conversation)] == asked
    for request_id in wanted[:3]:
        page = messages.History("red", [], None, None, False, request_id=request_id)
        assert hear(conversation, page) == [RequestAnswered(request_id, page)]
    assert [command.request_id for command in sent_by(conversation)] == wanted[-3:]


def test_a_room_that_would_not_have_the_user_back_is_told_and_left():
    conversation = conversation_in_red(heard=5)
    conversation.post("to red")
    rejoin = sent_by(conversation)[-1]
    banned = messages.Error("You are banned.", "banned", request_id=rejoin.request_id)
    assert hear(conversation, banned) == [Resumed(), banned]
    assert conversation.room_id is None
    assert not conversation.needs_retry
    (post,) = sent_by(conversation)
    (refused,) = hear(conversation, refusals.NOT_IN_ROOM.as_error(post.request_id))
    assert isinstance(refused, RequestRefused)


def in_red(heard=5):
    """Logged in, and in the room."""
    conversation = conversation_in_red(heard)
    hear(conversation, rejoined(sent_by(conversation)[-1], heard, 0))
    return conversation


def test_who_is_put_out_of_a_room_is_told_and_does_not_go_back_in():
    conversation = in_red()
    conversation.post("to red")
    (post,) = sent_by(conversation)
    kicked = messages.Error("ann put you out.", "kicked", "red")
    assert hear(conversation, kicked) == [kicked]
    assert conversation.room_id is None
    (refused,) = hear(conversation, refusals.NOT_IN_ROOM.as_error(post.request_id))
    assert isinstance(refused, RequestRefused)
    conversation.disconnected()
    conversation.connected()
    hear(conversation, messages.Challenge("AAAA"), messages.authenticated("ann"))
    assert not any(isinstance(command, Join) for command in sent_by(conversation))


def test_who_was_put_out_of_another_room_stays():
    conversation = in_red()
    kicked = messages.Error("ann put you out.", "kicked", "blue")
    assert hear(conversation, kicked) == [kicked]
    assert conversation.room_id == "red"


def test_who_is_put_out_while_on_the_way_back_is_where_that_leads():
    conversation = conversation_in_red(heard=5)
    rejoin = sent_by(conversation)[-1]
    hear(conversation, messages.Error("ann put you out.", "kicked", "red"))
    hear(conversation, rejoined(rejoin, 5, 0))
    assert conversation.room_id == "red"
    assert conversation.can_send
