import anyio
import pytest

from chat_actors.kernel import (
    Actor,
    ActorFailed,
    ActorRestarted,
    ActorStopped,
    ActorSystem,
    Cause,
    ChildFailed,
    Escalate,
    Restart,
    Resume,
    Stop,
    SystemFailed,
    Terminated,
    Undelivered,
    handles,
)
from chat_actors.kernel.supervision import CrashRecord, Pause
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get

pytestmark = pytest.mark.anyio


def test_backoff_doubles_up_to_its_limit_and_crashes_outside_the_window_are_forgiven():
    record = CrashRecord()
    policy = Restart(at_most=4, within=60, backoff=(0.1, 0.5))
    assert [record.judge(policy, now) for now in (0, 1, 2, 3)] == [Pause(0.1), Pause(0.2), Pause(0.4), Pause(0.5)]
    assert record.judge(policy, 59) == Stop()
    assert record.judge(policy, 200) == Pause(0.1)


async def test_a_restarted_actor_has_a_new_object_and_the_same_mailbox():
    restarted = []
    async with RunningSystem() as system:
        system.events.listen(ActorRestarted, restarted.append)
        counter = system.spawn_named("counter", Counter, start=10)
        for message in (Add(5), Fail(), Add(1)):
            counter.tell(message)
        assert await counter.ask(Get(), timeout=5) == 11
        assert restarted == [ActorRestarted("/counter", 1)]
        assert system.statistics().dead_letters == {Undelivered.CRASHED: 1}


async def test_beyond_its_limit_a_restart_ends_the_actor_and_its_watchers_are_told():
    async with RunningSystem() as system:
        probe = Probe()
        system.spawn_named("probe", lambda: probe)
        counter = system.spawn_named("counter", Counter)
        await settle(system)
        probe.context.watch(counter)
        for _ in range(3):
            counter.tell(Fail())
        ended = await probe.expect(Terminated)
        assert ended.reason.cause is Cause.FAILED
        assert isinstance(ended.reason.error, ValueError)


async def test_resume_goes_on_with_the_same_object():
    class Stoic(Counter):
        supervision = Resume()

    async with RunningSystem() as system:
        stoic = system.spawn_named("stoic", Stoic)
        for message in (Add(5), Fail(), Add(1)):
            stoic.tell(message)
        assert await stoic.ask(Get(), timeout=1) == 6


async def test_an_actor_that_cannot_start_ends_after_its_restarts():
    failed = []
    async with RunningSystem() as system:
        system.events.listen(ActorFailed, failed.append)
        broken = system.spawn_named("broken", Counter, start=-1)
        await broken.wait_stopped()
        assert len(failed) == 3


async def test_children_and_watches_outlive_a_restart_of_their_parent():
    class Parent(Counter):
        def __init__(self, told):
            super().__init__()
            self.told = told

        @handles
        def add(self, message: Add) -> None:
            self.context.watch(self.context.spawn_named("child", Counter))

        @handles
        def ended(self, message: Terminated) -> None:
            self.told.append(message.ref.path)

    told = []
    async with RunningSystem() as system:
        parent = system.spawn_named("parent", Parent, told)
        parent.tell(Add())
        parent.tell(Fail())
        await settle(system)
        (node,) = system.tree()
        assert [child.path for child in node.children] == ["/parent/child"]
        assert node.restarts == 1


async def test_an_escalated_crash_becomes_the_parents():
    class Fragile(Counter):
        supervision = Escalate()

    class Parent(Counter):
        @handles
        def add(self, message: Add) -> None:
            self.context.spawn(Fragile).tell(Fail())

    failed = []
    async with RunningSystem() as system:
        system.events.listen(ActorFailed, failed.append)
        parent = system.spawn_named("parent", Parent)
        parent.tell(Add())
        await settle(system)
        assert isinstance(failed[-1].error, ChildFailed)
        assert failed[-1].path == "/parent"
        assert not parent.is_stopped


async def test_a_crash_that_reaches_the_top_ends_the_system_in_order_with_the_error():
    class Fragile(Counter):
        supervision = Escalate()

    system = ActorSystem()
    other = []

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await system.run()

    async def watch():
        while True:
            try:
                fragile = system.spawn_named("fragile", Fragile)
                other.append(system.spawn_named("other", Counter))
                break
            except ActorStopped:
                await anyio.sleep(0.01)
        fragile.tell(Fail())

    with pytest.raises(BaseExceptionGroup) as caught:
        await main()
    failure = caught.value.exceptions[0]
    assert isinstance(failure, SystemFailed)
    assert failure.path == "/fragile"
    assert other[0].is_stopped


async def test_a_stop_during_a_restarts_pause_takes_effect_at_once():
    class Patient(Counter):
        supervision = Restart(backoff=(1000.0, 1000.0))

    async with RunningSystem() as system:
        patient = system.spawn_named("patient", Patient)
        patient.tell(Fail())
        began = anyio.current_time()
        await anyio.sleep(1)
        patient.stop()
        await patient.wait_stopped()
        assert anyio.current_time() - began < 10


async def test_the_system_stops_the_youngest_first_and_children_before_parents():
    order = []

    class Named(Actor[Add]):
        def __init__(self, name):
            self.name = name

        async def on_start(self):
            if self.name == "second":
                self.context.spawn_named("child", Named, "child")

        async def on_stop(self, reason):
            order.append(self.name)

    async with RunningSystem() as system:
        system.spawn_named("first", Named, "first")
        system.spawn_named("second", Named, "second")
        await settle(system)
    assert order == ["child", "second", "first"]


async def test_what_does_not_stop_by_the_deadline_is_cancelled_and_reported():
    class Stuck(Actor[Add]):
        @handles
        async def add(self, message: Add) -> None:
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        stuck = system.spawn_named("stuck", Stuck)
        stuck.tell(Add())
        await anyio.sleep(0.1)
        assert await system.stop(within=3) == ("/stuck",)
        assert stuck.is_stopped


async def test_a_goodbye_that_takes_too_long_is_cut():
    class Chatty(Counter):
        stop_within = 2.0

        async def on_stop(self, reason):
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        chatty = system.spawn_named("chatty", Chatty)
        began = anyio.current_time()
        chatty.stop()
        await chatty.wait_stopped()
        assert anyio.current_time() - began == pytest.approx(2.0, abs=0.5)


async def test_what_the_constructor_was_given_outlives_a_crash():
    class Ledger(Actor[Add | Fail | Get]):
        supervision = Restart()

        def __init__(self, entries):
            self.entries = entries

        @handles
        def add(self, message: Add) -> None:
            self.entries.append(message.amount)

        @handles
        def fail(self, message: Fail) -> None:
            raise ValueError

        @handles
        def get(self, message: Get) -> int:
            return len(self.entries)

    async with RunningSystem() as system:
        ledger = system.spawn_named("ledger", Ledger, [])
        for message in (Add(), Fail(), Add()):
            ledger.tell(message)
        assert await ledger.ask(Get(), timeout=5) == 2
