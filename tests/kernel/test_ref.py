import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import (
    Actor,
    ActorStopped,
    AskFailed,
    AskTimeout,
    DeadLetter,
    MailboxFull,
    Stop,
    Undelivered,
    handles,
)
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, collect

pytestmark = pytest.mark.anyio


async def test_messages_are_handled_in_the_order_sent():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter, start=5)
        assert counter.tell(Add(2))
        await counter.send(Add(3))
        counter.send_nowait(Add(4))
        assert await counter.ask(Get(), timeout=1) == 14


async def test_tell_to_a_full_mailbox_is_a_dead_letter():
    class Tiny(Counter):
        mailbox_capacity = 1

    letters = []
    async with RunningSystem() as system:
        system.events.listen(DeadLetter, letters.append)
        tiny = system.spawn_named("tiny", Tiny)
        assert tiny.tell(Add())
        assert not tiny.tell(Add(7))
        with pytest.raises(MailboxFull):
            tiny.send_nowait(Add())
        assert letters == [DeadLetter("/tiny", Add(7), Undelivered.FULL)]
        assert system.statistics().dead_letters == {Undelivered.FULL: 1}
        await tiny.send(Add())
        assert await tiny.ask(Get(), timeout=1) == 2


async def test_ask_fails_with_the_actors_exception():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter)
        with pytest.raises(AskFailed) as caught:
            await counter.ask(Fail(), timeout=1)
        assert isinstance(caught.value.__cause__, ValueError)


async def test_ask_without_a_handler_fails_at_once():
    class Deaf(Actor[Get]):
        pass

    async with RunningSystem() as system:
        deaf = system.spawn_named("deaf", Deaf)
        with pytest.raises(AskFailed):
            await deaf.ask(Get(), timeout=1)
        assert not deaf.is_stopped


async def test_ask_times_out():
    class Slow(Actor[Get]):
        @handles
        async def get(self, message: Get) -> int:
            await anyio.sleep(100)
            return 1

    async with RunningSystem(stop_within=1) as system:
        slow = system.spawn_named("slow", Slow)
        with pytest.raises(AskTimeout):
            await slow.ask(Get(), timeout=5)


async def test_queued_ask_fails_when_the_actor_ends():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter)
        counter.stop()
        with pytest.raises(ActorStopped):
            await counter.ask(Get(), timeout=1)


class Slow(Counter):
    """Takes 10 s for each addition; its mailbox has one slot."""

    mailbox_capacity = 1

    @handles
    async def add(self, message: Add) -> None:
        await anyio.sleep(10)
        self.count += message.amount


async def _busy(system):
    """Return a slow actor that handles a first message, with a second in its full mailbox."""
    slow = system.spawn_named("slow", Slow)
    slow.tell(Add())
    await anyio.sleep(1)
    slow.tell(Add())
    return slow


async def test_send_waits_for_a_free_slot():
    async with RunningSystem(stop_within=60) as system:
        slow = await _busy(system)
        began = anyio.current_time()
        await slow.send(Add())
        assert anyio.current_time() - began == pytest.approx(9, abs=0.1)
        assert await slow.ask(Get(), timeout=60) == 3


async def test_waiting_send_fails_when_the_actor_ends():
    async with RunningSystem(stop_within=60) as system:
        slow = await _busy(system)
        slow.stop()
        failures = []

        async def send():
            try:
                await slow.send(Add(100))
                await slow.send(Add(100))
            except ActorStopped as error:
                failures.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
        assert failures == ["/slow has stopped; look the actor up again to reach its successor"]


async def test_waiting_ask_fails_when_the_mailbox_closes():
    async with RunningSystem() as system:
        slow = await _busy(system)
        failures = []

        async def ask():
            try:
                await slow.ask(Get(), timeout=1000)
            except ActorStopped:
                failures.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            await system.stop(within=2)
        assert len(failures) == 1


async def test_ask_times_out_while_it_waits_for_a_slot():
    """Nothing is queued then."""
    async with RunningSystem(stop_within=60) as system:
        slow = await _busy(system)
        began = anyio.current_time()
        with pytest.raises(AskTimeout, match=r"/slow did not answer Get within 3 s"):
            await slow.ask(Get(), timeout=3)
        assert anyio.current_time() - began == pytest.approx(3, abs=0.1)
        assert slow.waiting == 1


async def test_request_is_handled_after_its_timeout():
    class Late(Counter):
        @handles
        async def get(self, message: Get) -> int:
            await anyio.sleep(0.1)
            self.count += 1
            return self.count

    async with RunningSystem() as system:
        late = Late()
        ref = system.spawn_named("late", lambda: late)
        with anyio.move_on_after(0.02):
            await ref.ask(Get(), timeout=1000)
        with pytest.raises(AskTimeout):
            await ref.ask(Get(), timeout=0.03)
        await settle(system)
        assert late.count == 2


async def test_ask_fails_when_its_handler_is_cancelled():
    class StuckHandler(Counter):
        @handles
        async def get(self, message: Get) -> int:
            await anyio.sleep_forever()
            return 1

    async with RunningSystem() as system:
        stuck = system.spawn_named("stuck", StuckHandler)
        failures = []

        async def ask():
            try:
                await stuck.ask(Get(), timeout=1000)
            except ActorStopped as error:
                failures.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert await system.stop(within=1) == ("/stuck",)
        assert len(failures) == 1


async def test_asks_queued_behind_a_final_crash_fail():
    class Fragile(Counter):
        supervision = Stop()

    async with RunningSystem() as system:
        fragile = system.spawn_named("fragile", Fragile)
        fragile.tell(Fail())
        with pytest.raises(ActorStopped):
            await fragile.ask(Get(), timeout=1000)


async def test_queued_ask_is_answered_after_a_restart():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter, 3)
        counter.tell(Fail())
        assert await counter.ask(Get(), timeout=10) == 3


async def test_ask_may_be_answered_with_none():
    class Quiet(Counter):
        @handles
        def fail(self, message: Fail) -> None:
            pass

    async with RunningSystem() as system:
        assert await system.spawn_named("quiet", Quiet).ask(Fail(), timeout=1) is None


async def test_all_ways_to_send_keep_the_order():
    class Tiny(Probe):
        mailbox_capacity = 2

    async with RunningSystem() as system:
        tiny = Tiny()
        ref = system.spawn_named("tiny", lambda: tiny)
        for n in range(0, 30, 3):
            await ref.send(n)
            await ref.send(n + 1)
            await settle(system)
            assert ref.tell(n + 2)
        await settle(system)
        assert list(tiny.received) == list(range(30))


async def test_ended_actor_refuses_every_way_to_send():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter)
        assert not counter.is_stopped
        counter.stop()
        await counter.wait_stopped()
        letters = collect(system, DeadLetter)
        assert counter.is_stopped
        assert not counter.tell(Add())
        with pytest.raises(ActorStopped):
            counter.send_nowait(Add())
        with pytest.raises(ActorStopped):
            await counter.send(Add())
        with pytest.raises(ActorStopped):
            await counter.ask(Get(), timeout=1)
        counter.stop()
        assert letters == [DeadLetter("/counter", Add(), Undelivered.STOPPED)]
