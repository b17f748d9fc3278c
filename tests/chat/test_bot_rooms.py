"""The rooms of a bot: what it joins, what it leaves, and which notices of a room it believes."""

from typing import ClassVar

import anyio
import pytest

from chat_actors.chat import Bot, Extension, Refused, RoomKind, command
from chat_actors.chat.bot import REJOIN_SECONDS
from chat_actors.chat.bot_rooms import BotOutbox, BotState, DroppedMessages, JoinAnswered
from chat_actors.chat.outbox import Block
from chat_actors.chat.room_messages import JoinedRoom, MemberRemoved, NotAMember
from chat_actors.kernel import ActorStopped, MailboxFull
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import ExtensionCommand, refusals
from tests.chat.rig import Boom, SlowJournal, chat_with, clients_in, contents, room_of, users_in

pytestmark = pytest.mark.anyio
BOT = "bot:robot"


class Robot(Bot):
    name = "robot"
    rooms = ("den",)
    objects: ClassVar = []
    refused: ClassVar = []
    missed: ClassVar = []

    async def on_start(self):
        self.objects.append(self)

    async def on_message(self, room_id, message):
        match message.content.split():
            case ["come", room]:
                self.join(room)
            case ["stay", room]:
                self.join(room, hold_open=True)
            case ["go"]:
                await self.leave(room_id)
            case ["nap"]:
                await anyio.sleep(5)
            case ["crash"]:
                raise ValueError("asked to crash")

    async def on_refused(self, room_id, code, text):
        self.refused.append((room_id, code))

    async def on_missed(self, room_id, count):
        self.missed.append((room_id, count))


class Guard(RoomKind):
    rooms = "*"

    async def may_join(self, user_id):
        if user_id == BOT and self.room.room_id == "closed":
            raise Refused("no_bots", "No bots here.")

    async def on_post(self, user_id, content):
        if content == "kick":
            self.room.remove(BOT, "kicked", "You were kicked.")
        return content


@pytest.fixture
def robot():
    """The newest incarnation of the bot."""
    Robot.objects.clear()
    Robot.refused.clear()
    Robot.missed.clear()
    return lambda: Robot.objects[-1]


async def chat_with_robot(system):
    extension = Extension(name="robot", services=[Robot], room_kinds=[Guard])
    chat = chat_with(system, extension, journal=SlowJournal())
    await settle(system)
    return chat


def rooms_of(robot):
    stays = robot().service_state.rooms
    assert None not in {stay.number for stay in stays.values()}
    return set(stays)


async def say(client, content):
    client.deliver(type="chat_message", content=content)
    await anyio.sleep(0.5)


async def test_bot_that_has_left_does_not_come_back(robot):
    """Neither when the room ends nor after a crash of the bot."""
    async with RunningSystem() as system:
        chat = await chat_with_robot(system)
        ann, ben = await clients_in(chat, "den", "ann", "ben")
        await say(ann, "stay garden")
        await say(ann, "go")
        assert rooms_of(robot) == {"garden"}
        assert set(robot().service_state.wanted) == {"garden"}
        room_of(ann).stop()
        cyd = await chat.log_in("cyd", "garden")
        await say(cyd, "crash")
        await anyio.sleep(5 * REJOIN_SECONDS)
        ben.deliver(type="join", userId="ben", roomId="den")
        await settle(system)
        assert await users_in(ben) == ["ben"]
        assert rooms_of(robot) == {"garden"}


async def test_bot_joins_a_room_once(robot):
    async with RunningSystem() as system:
        (ann,) = await clients_in(await chat_with_robot(system), "den", "ann")
        outbox = robot().service_state.rooms["den"].outbox
        await say(ann, "stay den")
        assert robot().service_state.rooms["den"].outbox is outbox


async def test_bot_joins_no_room_of_an_invalid_name(robot):
    async with RunningSystem() as system:
        await chat_with_robot(system)
        with pytest.raises(ValueError, match="not a valid room id"):
            robot().join("a\nb")
        assert set(robot().service_state.wanted) == {"den"}


async def test_refused_bot_forgets_the_room(robot):
    async with RunningSystem() as system:
        chat = await chat_with_robot(system)
        (ann,) = await clients_in(chat, "den", "ann")
        await say(ann, "stay closed")
        assert Robot.refused == [("closed", "no_bots")]
        assert rooms_of(robot) == set(robot().service_state.wanted) == {"den"}


async def test_removed_bot_stays_away(robot):
    async with RunningSystem() as system:
        chat = await chat_with_robot(system)
        ann, ben = await clients_in(chat, "den", "ann", "ben")
        await say(ann, "kick")
        assert Robot.refused == [("den", "kicked")]
        assert rooms_of(robot) == set(robot().service_state.wanted) == set()
        room_of(ann).tell(Boom())
        room_of(ann).stop()
        await anyio.sleep(5 * REJOIN_SECONDS)
        ben.deliver(type="join", userId="ben", roomId="den")
        await settle(system)
        assert await users_in(ben) == ["ben"]


@pytest.mark.parametrize("is_late", [True, False])
async def test_bot_ignores_notices_about_an_earlier_stay(robot, is_late):
    async with RunningSystem() as system:
        (ann,) = await clients_in(await chat_with_robot(system), "den", "ann")
        room, number = room_of(ann), robot().service_state.rooms["den"].number
        joins = number - 1 if is_late else number
        robot().context.self_ref.tell(NotAMember(room, joins))
        await settle(system)
        assert rooms_of(robot) == ({"den"} if is_late else set())
        await anyio.sleep(2 * REJOIN_SECONDS)
        assert rooms_of(robot) == {"den"}
        number = robot().service_state.rooms["den"].number
        robot().context.self_ref.tell(MemberRemoved(room, number - 1 if is_late else number, refusals.ROOM_FAILED))
        await settle(system)
        assert rooms_of(robot) == ({"den"} if is_late else set())
        assert Robot.refused == ([] if is_late else [("den", "room_failed")])


async def test_bot_ignores_the_answer_to_an_earlier_join(robot):
    async with RunningSystem() as system:
        (ann,) = await clients_in(await chat_with_robot(system), "den", "ann")
        me = robot().context.self_ref
        for answer in (JoinedRoom(77, 0), refusals.ROOM_FAILED, ValueError("asked to fail")):
            me.tell(JoinAnswered("den", BotOutbox("den", me), answer))
        await settle(system)
        assert rooms_of(robot) == {"den"}
        assert robot().service_state.rooms["den"].number != 77
        assert Robot.refused == []
        assert BOT in await users_in(ann)


async def test_bot_tries_again_after_a_join_that_failed(robot):
    async with RunningSystem() as system:
        (ann,) = await clients_in(await chat_with_robot(system), "den", "ann")
        me, outbox = robot().context.self_ref, robot().service_state.rooms["den"].outbox
        me.tell(JoinAnswered("den", outbox, ValueError("asked to fail")))
        await settle(system)
        assert rooms_of(robot) == set()
        await anyio.sleep(2 * REJOIN_SECONDS)
        assert rooms_of(robot) == {"den"}
        assert (await users_in(ann)).count(BOT) == 1


async def test_crashed_bot_does_not_join_its_first_rooms_again(robot):
    async with RunningSystem() as system:
        chat = await chat_with_robot(system)
        ann, ben = await clients_in(chat, "den", "ann", "ben")
        await say(ann, "stay garden")
        await say(ann, "go")
        cyd = await chat.log_in("cyd", "garden")
        await say(cyd, "crash")
        await anyio.sleep(5)
        assert len(Robot.objects) == 2
        assert rooms_of(robot) == {"garden"}
        await say(ben, "hello")
        assert BOT not in await users_in(ben)
        assert "hello" in contents(ann.hear())


async def test_leaving_another_room_does_nothing(robot):
    async with RunningSystem() as system:
        await chat_with_robot(system)
        await robot().leave("garden")
        assert rooms_of(robot) == {"den"}


async def test_bot_refused_by_a_room_with_members_forgets_it(robot):
    async with RunningSystem() as system:
        chat = await chat_with_robot(system)
        ann, _ = await clients_in(chat, "den", "ann", "ben")
        cyd = await chat.log_in("cyd", "closed")
        await say(ann, "stay closed")
        assert rooms_of(robot) == {"den"}
        assert await users_in(cyd) == ["cyd"]


async def test_bot_that_leaves_before_it_rejoins_stays_away(robot):
    async with RunningSystem() as system:
        (ann,) = await clients_in(await chat_with_robot(system), "den", "ann")
        robot().context.self_ref.tell(NotAMember(room_of(ann), robot().service_state.rooms["den"].number))
        await settle(system)
        await robot().leave("den")
        await anyio.sleep(3 * REJOIN_SECONDS)
        assert rooms_of(robot) == set()
        assert len(Robot.objects) == 1


async def test_bot_does_not_return_to_a_room_that_it_did_not_hold(robot):
    async with RunningSystem() as system:
        chat = await chat_with_robot(system)
        (ann,) = await clients_in(chat, "den", "ann")
        cyd = await chat.log_in("cyd", "garden")
        await say(ann, "come garden")
        assert rooms_of(robot) == {"den", "garden"}
        cyd.disconnect()
        await anyio.sleep(5 * REJOIN_SECONDS)
        assert rooms_of(robot) == set(robot().service_state.wanted) == {"den"}
        await say(ann, "crash")
        await anyio.sleep(5 * REJOIN_SECONDS)
        assert rooms_of(robot) == {"den"}


async def test_bot_removed_before_its_join_is_answered_leaves_the_room(robot):
    """It cannot know whether the notice is about this stay, so neither side has the member."""
    async with RunningSystem() as system:
        (ann,) = await clients_in(await chat_with_robot(system), "den", "ann")
        robot().service_state.rooms["den"].number = None
        robot().context.self_ref.tell(MemberRemoved(room_of(ann), 1, refusals.ROOM_FAILED))
        await settle(system)
        assert rooms_of(robot) == set()
        assert await users_in(ann) == ["ann"]


async def test_bot_learns_what_it_missed_without_a_later_message(robot, monkeypatch):
    monkeypatch.setattr(Robot, "mailbox_capacity", 3)
    async with RunningSystem() as system:
        chat = await chat_with_robot(system)
        (ann,) = await clients_in(chat, "den", "ann")
        for content in ("nap", *"abcdefgh"):
            await say(ann, content)
        await anyio.sleep(20)
        assert Robot.missed == [("den", 5)]


async def test_bot_tries_again_while_the_room_has_no_free_slot(robot, monkeypatch):
    async with RunningSystem() as system:
        await chat_with_robot(system)
        context, failures = robot().context, [MailboxFull("/rooms/room:garden", 0)]
        find = type(context).get_or_spawn

        def find_or_fail(self, *arguments):
            if failures:
                raise failures.pop()
            return find(self, *arguments)

        monkeypatch.setattr(type(context), "get_or_spawn", find_or_fail)
        robot().join("garden", hold_open=True)
        assert rooms_of(robot) == {"den"}
        await anyio.sleep(2 * REJOIN_SECONDS)
        assert rooms_of(robot) == {"den", "garden"}


async def test_subscriber_of_a_bot_ends_with_its_connection():
    class Subscribe(ExtensionCommand, tag="subscribe"):
        pass

    class News(Bot):
        name = "news"

        @command()
        def on_subscribe(self, caller, subscribe: Subscribe) -> None:
            self.subscribe(caller)

    async with RunningSystem() as system:
        ann = await chat_with(system, Extension(name="news", services=[News])).log_in("ann")
        ann.deliver(type="subscribe")
        await settle(system)
        (bot,) = [cell.actor for cell in system.family if isinstance(cell.actor, News)] or [
            cell.actor for parent in system.family for cell in parent.family if isinstance(cell.actor, News)
        ]
        assert len(bot.service_state.subscribers) == 1
        ann.disconnect()
        await settle(system)
        assert not bot.service_state.subscribers


class Mailbox:
    """A ref that accepts `free` messages."""

    def __init__(self, free):
        self.free = free
        self.queued = []

    def send_nowait(self, message):
        if self.free is None:
            raise ActorStopped("/bot")
        if not self.free:
            raise MailboxFull("/bot", 0)
        self.free -= 1
        self.queued.append(message)


def block(*contents):
    return Block([f'{{"n": {content}}}'.encode() for content in contents])


def test_bot_outbox_counts_what_it_drops():
    mailbox = Mailbox(1)
    outbox = BotOutbox("den", mailbox)
    assert outbox.offer(block(1)) is True
    assert outbox.offer(block(2, 3)) is False
    assert outbox.offer(block(4)) is False
    mailbox.free = 3
    assert outbox.offer(block(5)) is True
    assert outbox.offer(block(6)) is True
    assert [type(message).__name__ for message in mailbox.queued] == [
        "RoomBlock",
        "DroppedMessages",
        *["RoomBlock"] * 2,
    ]
    assert mailbox.queued[1] == DroppedMessages("den", 3)
    assert outbox.take_missed() == 0
    mailbox.free = 0
    outbox.offer(block(7, 8))
    assert (outbox.take_missed(), outbox.take_missed()) == (2, 0)


def test_bot_outbox_of_an_ended_bot_refuses():
    outbox = BotOutbox("den", Mailbox(None))
    assert outbox.offer(block(1)) is False
    assert outbox.take_missed() == 0


def test_new_bot_inherits_the_rooms_that_were_held():
    earlier, state = BotState(), BotState()
    earlier.wanted = {"den": True, "garden": False}
    state.inherit(earlier)
    assert state.wanted == {"den": True}
