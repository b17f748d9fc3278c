import anyio
import pytest

from chat_actors.kernel import Actor, DeadLetter, Terminated, Undelivered, handles
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Get, collect, start_probe

pytestmark = pytest.mark.anyio


async def test_busy_actor_yields_to_the_others():
    class Endless(Actor[Add]):
        @handles
        def again(self, message: Add) -> None:
            self.context.self_ref.tell(message)

    async with RunningSystem() as system:
        endless = system.spawn_named("endless", Endless)
        endless.tell(Add())
        counter = system.spawn_named("counter", Counter, start=3)
        assert await counter.ask(Get(), timeout=1) == 3


async def test_unhandled_message_is_a_dead_letter():
    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        counter = system.spawn_named("counter", Counter)
        counter.tell("unhandled")
        assert await counter.ask(Get(), timeout=1) == 0
        assert letters == [DeadLetter("/counter", "unhandled", Undelivered.UNHANDLED)]


async def test_none_is_an_ordinary_message():
    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        counter = system.spawn_named("counter", Counter)
        counter.tell(None)
        counter.tell(Add())
        assert await counter.ask(Get(), timeout=1) == 1
        assert letters == [DeadLetter("/counter", None, Undelivered.UNHANDLED)]


async def test_on_unhandled_may_handle_a_message():
    class HandlesAny(Counter):
        def on_unhandled(self, message):
            self.count += 100
            return True

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        ref = system.spawn_named("open", HandlesAny)
        ref.tell("unhandled")
        assert await ref.ask(Get(), timeout=1) == 100
        assert letters == []


async def test_on_unhandled_that_raises_is_a_crash():
    class FailingHook(Counter):
        def on_unhandled(self, message):
            raise ValueError("what is this?")

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        failing = system.spawn_named("failing", FailingHook, 3)
        failing.tell("unhandled")
        assert await failing.ask(Get(), timeout=5) == 3
        assert letters == [DeadLetter("/failing", "unhandled", Undelivered.CRASHED)]


async def test_messages_stay_in_order_across_lanes():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        other = system.spawn_named("other", Counter)
        probe.context.watch(other)
        ref = probe.context.self_ref
        ref.tell(1)
        other.stop()
        await other.wait_stopped()
        ref.tell(2)
        await settle(system)
        assert [type(message) for message in probe.received] == [int, Terminated, int]


async def test_message_of_cancelled_handler_is_a_dead_letter():
    class StuckHandler(Counter):
        @handles
        async def add(self, message: Add) -> None:
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        system.spawn_named("stuck", StuckHandler).tell(Add(5))
        await anyio.sleep(0.5)
        await system.stop(within=0)
        assert [(letter.message.amount, letter.why) for letter in letters] == [(5, Undelivered.CANCELLED)]


async def test_handlers_of_one_actor_never_overlap():
    running, most = [], []

    class Slow(Counter):
        @handles
        async def add(self, message: Add) -> None:
            running.append(1)
            most.append(len(running))
            await anyio.sleep(1)
            running.pop()

    async with RunningSystem(stop_within=60) as system:
        slow = system.spawn_named("slow", Slow)
        for _ in range(5):
            slow.tell(Add())
        await settle(system)
        assert most == [1] * 5
