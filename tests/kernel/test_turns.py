"""The end of a turn, and delivery in the sender's task."""

import pytest

from chat_actors.kernel import ActorFailed, DeadLetter, Restart, Stop, Undelivered, handles
from chat_actors.kernel.loop import MESSAGES_PER_TURN
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, collect

pytestmark = pytest.mark.anyio


class Collecting(Counter):
    """Records the additions of each turn. An `Add(666)` makes `on_turn_end` raise."""

    def __init__(self):
        super().__init__()
        self.collected = []
        self.turns = []

    @handles
    def add(self, message: Add) -> None:
        self.collected.append(message.amount)

    def on_turn_end(self):
        if self.collected:
            collected, self.collected = self.collected, []
            if 666 in collected:
                raise ValueError("a bad turn")
            self.turns.append(collected)


async def test_turn_is_everything_that_waits():
    async with RunningSystem() as system:
        actor = Collecting()
        ref = system.spawn_named("collecting", lambda: actor)
        for n in (1, 2, 3):
            ref.tell(Add(n))
        await settle(system)
        ref.tell(Add(4))
        await settle(system)
        assert actor.turns == [[1, 2, 3], [4]]


async def test_turn_has_a_maximum_length():
    async with RunningSystem() as system:
        actor = Collecting()
        ref = system.spawn_named("collecting", lambda: actor)
        for n in range(2 * MESSAGES_PER_TURN + 5):
            ref.tell(Add(n))
        await settle(system)
        assert [len(turn) for turn in actor.turns] == [MESSAGES_PER_TURN, MESSAGES_PER_TURN, 5]


async def test_turn_ends_before_the_actor_stops():
    async with RunningSystem() as system:
        actor = Collecting()
        ref = system.spawn_named("collecting", lambda: actor)
        ref.tell(Add(1))
        ref.stop()
        await ref.wait_stopped()
        assert actor.turns == [[1]]


async def test_crash_on_a_message_keeps_the_turn():
    class Resuming(Collecting):
        supervision = Restart()

    async with RunningSystem() as system:
        actor = Resuming()
        ref = system.spawn_named("resuming", lambda: actor)
        letters = collect(system, DeadLetter)
        ref.tell(Add(1))
        ref.tell(Fail())
        ref.tell(Add(2))
        await settle(system)
        assert actor.turns == [[1, 2]]
        assert [letter.message for letter in letters] == [Fail()]


async def test_on_turn_end_that_raises_is_a_crash():
    async with RunningSystem() as system:
        crashes = collect(system, ActorFailed)
        ref = system.spawn_named("collecting", Collecting)
        ref.tell(Add(666))
        await settle(system)
        assert [str(crash.error) for crash in crashes] == ["a bad turn"]
        assert system.statistics().restarts == 1
        assert await ref.ask(Get(), timeout=1) == 0


async def test_last_on_turn_end_that_raises_does_not_block():
    async with RunningSystem() as system:
        crashes = collect(system, ActorFailed)
        ref = system.spawn_named("collecting", Collecting)
        ref.tell(Add(666))
        ref.stop()
        await ref.wait_stopped()
        assert [str(crash.error) for crash in crashes] == ["a bad turn"]


class Direct(Counter):
    """Accepts deliveries: it adds the amount, raises on 666, and tells itself 1000."""

    supervision = Restart()

    def on_delivery(self, message):
        if message.amount == 666:
            raise ValueError("a bad delivery")
        if message.amount == 1000:
            self.context.self_ref.tell(message)
        else:
            self.count += message.amount


async def test_delivery_runs_in_the_senders_task():
    async with RunningSystem() as system:
        actor = Direct()
        ref = system.spawn_named("direct", lambda: actor)
        await settle(system)
        assert ref.deliver_nowait(Add(2))
        assert actor.count == 2


async def test_delivery_is_refused_while_messages_wait():
    async with RunningSystem() as system:
        actor = Direct()
        ref = system.spawn_named("direct", lambda: actor)
        assert not ref.deliver_nowait(Add(1)), "it has not started"
        await settle(system)
        assert ref.deliver_nowait(Add(1000))
        assert not ref.deliver_nowait(Add(1)), "the message that it told itself waits"
        await settle(system)
        assert ref.deliver_nowait(Add(1))
        assert actor.count == 1001


async def test_delivery_to_an_ended_actor_is_refused():
    async with RunningSystem() as system:
        ref = system.spawn_named("direct", Direct)
        ref.stop()
        await ref.wait_stopped()
        assert not ref.deliver_nowait(Add(1))


async def test_on_delivery_that_raises_is_a_crash():
    async with RunningSystem() as system:
        letters, crashes = collect(system, DeadLetter), collect(system, ActorFailed)
        ref = system.spawn_named("direct", Direct)
        await settle(system)
        assert ref.deliver_nowait(Add(666))
        assert not ref.deliver_nowait(Add(1)), "it is about to crash"
        await settle(system)
        assert letters == [DeadLetter("/direct", Add(666), Undelivered.CRASHED)]
        assert [str(crash.error) for crash in crashes] == ["a bad delivery"]
        assert ref.deliver_nowait(Add(1))


async def test_delivery_at_the_end_of_a_turn_is_handled():
    class Feeding(Direct):
        supervision = Stop()
        left = 3

        def on_turn_end(self):
            if self.left:
                self.left -= 1
                assert self.context.self_ref.deliver_nowait(Add(1))

    async with RunningSystem() as system:
        actor = Feeding()
        ref = system.spawn_named("feeding", lambda: actor)
        await settle(system)
        ref.tell(Add(1000))
        await settle(system)
        assert actor.count == 1002
