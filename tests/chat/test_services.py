"""Extension commands, from the client's frame to the service and back."""

import anyio
import msgspec
import pytest

from chat_actors.chat import (
    Enabled,
    Extension,
    Extensions,
    InvalidDeclaration,
    Rate,
    Refused,
    Scope,
    Service,
    Where,
    command,
)
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import ExtensionCommand, ExtensionMessage
from tests.chat.rig import MemoryChat, chat_with, errors

pytestmark = pytest.mark.anyio


class Roll(ExtensionCommand, tag="roll"):
    sides: int = 6


class Count(ExtensionCommand, tag="count"):
    pass


class Greet(ExtensionCommand, tag="greet"):
    pass


class Wait(ExtensionCommand, tag="wait"):
    seconds: float


class Crash(ExtensionCommand, tag="crash"):
    pass


class Later(ExtensionCommand, tag="later"):
    pass


class Rolled(ExtensionMessage, tag="rolled"):
    who: str
    room: str
    result: int


class Counted(ExtensionMessage, tag="counted"):
    key: str
    count: int


class DiceSettings(msgspec.Struct, frozen=True):
    result: int = 4


class Dice(Service):
    @command(where=Where.IN_ROOM)
    def roll(self, caller, roll: Roll):
        if roll.sides < 2:
            raise Refused("too_few_sides", "A die has at least two sides.")
        return Rolled(caller.user_id, caller.room_id, self.settings.result)

    @command(where=Where.ANYWHERE)
    async def greet(self, caller, greet: Greet):
        await anyio.sleep(0.01)
        return Counted(caller.user_id, 0)

    @command()
    async def wait(self, caller, wait: Wait):
        await anyio.sleep(wait.seconds)

    @command()
    def crash(self, caller, crash: Crash):
        raise ValueError("asked to crash")

    @command()
    def later(self, caller, later: Later):
        caller.tell(Counted("told", 1))
        return "no message"


class Counter(Service):
    scope = Scope.USER
    linger = 30

    def __init__(self):
        self.count = 0

    @command(rate=Rate(1, 3))
    def count_up(self, caller, count: Count):
        self.count += 1
        return Counted(self.key, self.count)


class RoomCounter(Counter):
    scope = Scope.ROOM


DICE = Extension(name="dice", services=[Dice], settings=DiceSettings)
COUNTER = Extension(name="counter", services=[Counter])


async def answers(system, client, **fields):
    """Send a command, and return the messages that the client receives, decoded from JSON."""
    client.deliver(**fields)
    await settle(system)
    found = [msgspec.json.decode(text) for block in client.outbox._blocks for text in block.texts]
    client.outbox._blocks.clear()
    return found


async def test_service_answers_with_the_commands_id():
    async with RunningSystem() as system:
        ann = await chat_with(system, DICE).log_in("ann", "red")
        answer = await answers(system, ann, type="roll", id="q")
        assert answer == [{"type": "rolled", "who": "ann", "room": "red", "result": 4, "id": "q"}]


async def test_service_refuses_with_code_and_text():
    async with RunningSystem() as system:
        ann = await chat_with(system, DICE).log_in("ann", "red")
        (answer,) = await answers(system, ann, type="roll", sides=1, id="q")
        assert answer == {
            "type": "error",
            "message": "A die has at least two sides.",
            "code": "too_few_sides",
            "id": "q",
        }


async def test_command_requires_its_session_state():
    async with RunningSystem() as system:
        chat = chat_with(system, DICE)
        stranger = await chat.connect()
        for fields in ({"type": "roll"}, {"type": "wait", "seconds": 1}):
            stranger.deliver(**fields)
        await settle(system)
        stranger.hear()
        assert errors(stranger.received) == [("not_authenticated", None)] * 2
        assert await answers(system, stranger, type="greet") == [{"type": "counted", "key": "", "count": 0}]
        ann = await chat.log_in("ann")
        ann.deliver(type="roll")
        await settle(system)
        assert errors(ann.hear()) == [("not_in_room", None)]


async def test_none_sends_no_answer():
    async with RunningSystem() as system:
        ann = await chat_with(system, DICE).log_in("ann")
        assert await answers(system, ann, type="wait", seconds=0) == []


async def test_later_commands_wait_for_the_service():
    async with RunningSystem() as system:
        ann = await chat_with(system, DICE).log_in("ann", "red")
        ann.deliver(type="wait", seconds=5)
        ann.deliver(type="roll")
        await anyio.sleep(4)
        assert ann.hear() == []
        assert len(await answers(system, ann, type="ping")) == 2


async def test_service_crash_is_reported_and_restarts():
    async with RunningSystem() as system:
        ann = await chat_with(system, DICE).log_in("ann", "red")
        ann.deliver(type="crash", id="q")
        await settle(system)
        assert errors(ann.hear()) == [("internal_failure", "q")]
        assert len(await answers(system, ann, type="roll")) == 1


async def test_service_returning_no_message_crashes():
    async with RunningSystem() as system:
        ann = await chat_with(system, DICE).log_in("ann")
        told, error = await answers(system, ann, type="later")
        assert told == {"type": "counted", "key": "told", "count": 1}
        assert error["code"] == "internal_failure"


async def test_service_that_takes_too_long_is_busy():
    async with RunningSystem() as system:
        ann = await chat_with(system, DICE).log_in("ann")
        ann.deliver(type="wait", seconds=60, id="q")
        await anyio.sleep(11)
        assert errors(ann.hear()) == [("busy", "q")]


async def test_user_service_is_shared_by_connections():
    async with RunningSystem() as system:
        chat = chat_with(system, COUNTER)
        ann, ben = await chat.log_in("ann"), await chat.log_in("ben")
        for client, key, count in ((ann, "ann", 1), (ann, "ann", 2), (ben, "ben", 1)):
            assert await answers(system, client, type="count") == [{"type": "counted", "key": key, "count": count}]


async def test_each_room_has_its_own_service():
    async with RunningSystem() as system:
        chat = chat_with(system, Extension(name="rooms", services=[RoomCounter]))
        ann, ben = await chat.log_in("ann", "red"), await chat.log_in("ben", "red")
        ann.hear()
        assert (await answers(system, ann, type="count"))[0]["count"] == 1
        assert (await answers(system, ben, type="count"))[0] == {"type": "counted", "key": "red", "count": 2}
        outside = await chat.log_in("cyd")
        assert (await answers(system, outside, type="count"))[0]["code"] == "not_in_room"


async def test_idle_service_stops_and_starts_anew():
    async with RunningSystem() as system:
        ann = await chat_with(system, COUNTER).log_in("ann")
        await answers(system, ann, type="count")
        await anyio.sleep(25)
        await answers(system, ann, type="count")
        await anyio.sleep(25)
        assert (await answers(system, ann, type="count"))[0]["count"] == 3
        await anyio.sleep(70)
        assert (await answers(system, ann, type="count"))[0]["count"] == 1


async def test_command_rate_applies_to_each_connection():
    async with RunningSystem() as system:
        chat = chat_with(system, COUNTER)
        ann, other = await chat.log_in("ann"), await chat.log_in("ben")
        seen = [(await answers(system, ann, type="count"))[0]["type"] for _ in range(5)]
        assert seen == ["counted"] * 3 + ["error"] * 2
        assert (await answers(system, other, type="count"))[0]["type"] == "counted"
        await anyio.sleep(1)
        assert (await answers(system, ann, type="count"))[0]["type"] == "counted"


async def test_no_services_run_without_extensions():
    async with RunningSystem() as system:
        ann = await MemoryChat(system).log_in("ann", "red")
        assert [cell.path for cell in system.family.with_ending() if "services" in cell.path] == []
        assert (await answers(system, ann, type="roll"))[0]["code"] == "unknown_type"


def test_invalid_command_methods_are_rejected():
    class NoCommand(Service):
        @command()
        def roll(self, caller, roll: int):
            pass

    class TooFew(Service):
        @command()
        def roll(self, roll: Roll):
            pass

    class Twice(Service):
        @command()
        def one(self, caller, roll: Roll):
            pass

        @command()
        def two(self, caller, roll: Roll):
            pass

    class OutOfRooms(Service):
        scope = Scope.ROOM

        @command(where=Where.LOGGED_IN)
        def roll(self, caller, roll: Roll):
            pass

    for service, why in (
        (NoCommand, "annotate 'roll' with a subclass of Command"),
        (TooFew, "must take the caller and the command"),
        (Twice, "is already there for Roll"),
        (OutOfRooms, "in a room at the earliest, and not after the login"),
    ):
        with pytest.raises(InvalidDeclaration, match=why):
            Extensions([Enabled(Extension(name="bad", services=[service]))])


@pytest.mark.parametrize(("stopped", "types"), [(1, ["rolled"]), (2, ["error"])])
async def test_service_that_has_just_stopped_is_asked_again(stopped, types):
    """The session asks twice at most."""
    async with RunningSystem() as system:
        chat = chat_with(system, DICE)
        ann, ben = await chat.log_in("ann", "red"), await chat.log_in("ben")
        ben.session.stop()
        await ben.session.wait_stopped()
        await answers(system, ann, type="roll")
        context = ann.session._cell.actor.context
        find, found = context.get_or_spawn, []

        def find_too_late(actor_type, key):
            found.append(ben.session if len(found) < stopped else find(actor_type, key))
            return found[-1]

        context.get_or_spawn = find_too_late
        assert [message["type"] for message in await answers(system, ann, type="roll")] == types
        assert len(found) == 2
