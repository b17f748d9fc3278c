from itertools import accumulate

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_actors.kernel import (
    Actor,
    ActorFailed,
    ActorRestarted,
    Cause,
    DeadLetter,
    Escalate,
    Restart,
    Resume,
    Stop,
    Terminated,
    Undelivered,
    handles,
)
from chat_actors.kernel.supervision import CrashRecord, Pause
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, collect, start_probe

pytestmark = pytest.mark.anyio


def test_backoff_doubles_up_to_its_limit():
    """Crashes outside the window no longer count."""
    record = CrashRecord()
    policy = Restart(at_most=4, within=60, backoff=(0.1, 0.5))
    assert [record.judge(policy, now) for now in (0, 1, 2, 3)] == [Pause(0.1), Pause(0.2), Pause(0.4), Pause(0.5)]
    assert record.judge(policy, 59) == Stop()
    assert record.judge(policy, 200) == Pause(0.1)


async def test_restart_makes_a_new_object_for_the_mailbox():
    restarted = []
    async with RunningSystem() as system:
        system.events.listen(ActorRestarted, restarted.append)
        counter = system.spawn_named("counter", Counter, start=10)
        for message in (Add(5), Fail(), Add(1)):
            counter.tell(message)
        assert await counter.ask(Get(), timeout=5) == 11
        assert restarted == [ActorRestarted("/counter", 1)]
        assert system.statistics().dead_letters == {Undelivered.CRASHED: 1}


async def test_restart_beyond_its_limit_ends_the_actor():
    """Its watchers are notified."""
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


async def test_resume_keeps_the_object():
    class Resuming(Counter):
        supervision = Resume()

    async with RunningSystem() as system:
        resuming = system.spawn_named("resuming", Resuming)
        for message in (Add(5), Fail(), Add(1)):
            resuming.tell(message)
        assert await resuming.ask(Get(), timeout=1) == 6


async def test_actor_that_cannot_start_uses_up_its_restarts():
    failed = []
    async with RunningSystem() as system:
        system.events.listen(ActorFailed, failed.append)
        broken = system.spawn_named("broken", Counter, start=-1)
        await broken.wait_stopped()
        assert len(failed) == 3


async def test_stop_during_a_backoff_pause_ends_it():
    class Pausing(Counter):
        supervision = Restart(backoff=(1000.0, 1000.0))

    async with RunningSystem() as system:
        pausing = system.spawn_named("pausing", Pausing)
        pausing.tell(Fail())
        began = anyio.current_time()
        await anyio.sleep(1)
        pausing.stop()
        await pausing.wait_stopped()
        assert anyio.current_time() - began < 10


async def test_constructor_arguments_outlive_a_crash():
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


def test_backoff_does_not_overflow():
    record, policy = CrashRecord(), Restart(at_most=1200, within=1e9, backoff=(0.1, 5.0))
    pauses = [record.judge(policy, now) for now in range(1200)]
    assert pauses[-1] == Pause(5.0)
    assert record.judge(policy, 1200) == Stop()


def test_crash_record_forgets_old_crashes():
    record, policy = CrashRecord(), Restart(at_most=1, within=10)
    for now in range(0, 1000, 10):
        assert record.judge(policy, now) == Pause(0.1)
    assert len(record._times) == 1


@pytest.mark.parametrize("policy", [Stop(), Resume(), Escalate()])
def test_other_policies_are_their_own_verdict(policy):
    assert CrashRecord().judge(policy, 0) == policy


@given(
    st.integers(0, 5),
    st.floats(0.1, 100),
    st.lists(st.floats(0, 50), max_size=30),
)
def test_restart_verdict_agrees_with_a_model(at_most, within, gaps):
    """It restarts exactly if at most `at_most` crashes lie within the window."""
    record, policy = CrashRecord(), Restart(at_most=at_most, within=within, then=Escalate())
    times = list(accumulate(gaps))
    for n, now in enumerate(times):
        recent = sum(now - time < within for time in times[: n + 1])
        assert (record.judge(policy, now) == Escalate()) is (recent > at_most)


async def test_restart_pauses_follow_the_policy():
    class Pausing(Counter):
        supervision = Restart(at_most=4, within=1000.0, backoff=(1.0, 5.0))

    async with RunningSystem() as system:
        restarted_at = []
        system.events.listen(ActorRestarted, lambda event: restarted_at.append(anyio.current_time()))
        began = anyio.current_time()
        pausing = system.spawn_named("pausing", Pausing)
        for _ in range(5):
            pausing.tell(Fail())
        await pausing.wait_stopped()
        assert [at - began for at in restarted_at] == pytest.approx([1, 3, 7, 12], abs=0.05)


async def test_restart_keeps_children_watches_and_mailbox():
    class Parent(Counter):
        def __init__(self, ended):
            super().__init__()
            self.ended = ended

        @handles
        def add(self, message: Add) -> None:
            self.context.watch(self.context.spawn_named("child", Counter))

        @handles
        def get(self, message: Get) -> int:
            return len(self.context.children)

        @handles
        def ended(self, message: Terminated) -> None:
            self.ended.append(message.ref.path)

    ended = []
    async with RunningSystem() as system:
        parent = system.spawn_named("parent", Parent, ended)
        parent.tell(Add())
        parent.tell(Fail())
        assert await parent.ask(Get(), timeout=5) == 1
        (node,) = system.tree()
        assert node.restarts == 1
        child = system.family.with_ending()[0].family.with_ending()[0].ref
        child.stop()
        await child.wait_stopped()
        await settle(system)
        assert ended == ["/parent/child"]


async def test_restart_cancels_timers():
    """Timers that have just fired are cancelled too."""
    handled = []

    class Timed(Counter):
        async def on_start(self):
            self.context.after(1, Add(1))
            self.context.every(1, Add(2))

        @handles
        async def add(self, message: Add) -> None:
            handled.append(message.amount)

        @handles
        async def fail(self, message: Fail) -> None:
            await anyio.sleep(1.5)
            raise ValueError

    async with RunningSystem() as system:
        timed = system.spawn_named("timed", Timed)
        timed.tell(Fail())
        await anyio.sleep(1.7)
        assert handled == []
        assert system.statistics().restarts == 1
        await anyio.sleep(1.1)
        assert handled == [1, 2]


async def test_piped_work_outlives_a_restart():
    async def work():
        await anyio.sleep(10)
        return 5

    class Piping(Counter):
        @handles
        async def fail(self, message: Fail) -> None:
            self.context.pipe(work, into=Add, failed=Add)
            raise ValueError

    async with RunningSystem() as system:
        piping = system.spawn_named("piping", Piping)
        piping.tell(Fail())
        await anyio.sleep(11)
        assert await piping.ask(Get(), timeout=1) == 5


async def test_factory_that_raises_at_a_restart_is_a_crash():
    """The next restart may succeed."""
    made = []

    def make():
        made.append(1)
        if len(made) in (2, 3):
            raise OSError("not yet")
        return Restarting(len(made))

    class Restarting(Counter):
        supervision = Restart(at_most=3, backoff=(1.0, 1.0))

    async with RunningSystem() as system:
        failed = collect(system, ActorFailed)
        counter = system.spawn_named("counter", make)
        counter.tell(Fail())
        assert await counter.ask(Get(), timeout=60) == 4
        assert [type(event.error) for event in failed] == [ValueError, OSError, OSError]
        assert system.statistics().restarts == 1


async def test_resume_does_not_resume_a_failed_start():
    class Broken(Counter):
        supervision = Resume()

    async with RunningSystem() as system:
        probe = await start_probe(system)
        broken = system.spawn_named("broken", Broken, -1)
        probe.context.watch(broken)
        assert (await probe.expect(Terminated)).reason.cause is Cause.FAILED


async def test_stopping_actor_is_not_restarted():
    """Waiting messages become dead letters."""
    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        counter = system.spawn_named("counter", Counter)
        for message in (Fail(), Add(1)):
            counter.tell(message)
        counter.stop()
        await counter.wait_stopped()
        assert [letter.why for letter in letters] == [Undelivered.CRASHED, Undelivered.STOPPED]
        assert system.statistics().restarts == 0
