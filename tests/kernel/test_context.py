import anyio
import anyio.lowlevel
import msgspec
import pytest

from chat_actors.kernel import ActorStopped, Cause, NameTaken, Terminated, handles
from chat_actors.kernel.testing import Probe, RunningSystem
from tests.kernel.conftest import Add, Counter, Fail, Get, start_probe

pytestmark = pytest.mark.anyio


class Done(msgspec.Struct, frozen=True):
    what: object


async def test_children_have_own_names_oldest_first():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        refs = [probe.context.spawn(Counter), probe.context.spawn(Probe), probe.context.spawn_named("third", Counter)]
        assert probe.context.children == refs
        assert [ref.path for ref in refs] == ["/probe/counter-1", "/probe/probe-2", "/probe/third"]
        with pytest.raises(NameTaken, match="/probe/third"):
            probe.context.spawn_named("third", Counter)


async def test_stop_handles_waiting_messages_first():
    class SelfStopping(Counter):
        @handles
        def fail(self, message: Fail) -> None:
            self.context.stop()

    async with RunningSystem() as system:
        probe = await start_probe(system)
        actor = SelfStopping()
        ref = system.spawn_named("stopping", lambda: actor)
        probe.context.watch(ref)
        for message in (Fail(), Add(5)):
            ref.tell(message)
        assert (await probe.expect(Terminated)).reason.cause is Cause.FINISHED
        assert actor.count == 5


class SelfEnding(Counter):
    """Calls `stop_if_idle` after each addition, and records the result."""

    mailbox_capacity = 1

    def __init__(self):
        super().__init__()
        self.tries = []

    @handles
    async def add(self, message: Add) -> None:
        self.count += 1
        await anyio.sleep(1)
        self.tries.append(self.context.stop_if_idle())


async def test_stop_if_idle_refuses_while_anything_waits():
    async with RunningSystem(stop_within=60) as system:
        actor = SelfEnding()
        ref = system.spawn_named("ending", lambda: actor)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ref.send, Add())
        await ref.wait_stopped()
        assert actor.tries == [False, False, True]
        assert actor.count == 3


async def test_context_of_ended_actor_keeps_nothing():
    ran = []

    async def work():
        ran.append(1)

    async with RunningSystem() as system:
        probe = await start_probe(system)
        other = system.spawn_named("other", Counter)
        context = probe.context
        context.self_ref.stop()
        await context.self_ref.wait_stopped()
        context.after(1, Add())
        context.every(1, Add())
        context.watch(other)
        context.pipe(work, into=Done, failed=Done)
        context.stop()
        assert context.stop_if_idle()
        with pytest.raises(ActorStopped):
            context.spawn(Counter)
        await anyio.sleep(5)
        assert len(system.timers) == 0
        assert not any(cell.watchers for cell in system.family.with_ending())
        assert ran == []


async def test_cancelled_timer_drops_its_waiting_message():
    class Slow(Counter):
        async def on_start(self):
            self.once = self.context.after(1, Add(1))
            self.often = self.context.every(1, Add(2))

        @handles
        async def get(self, message: Get) -> int:
            await anyio.sleep(2)
            waiting = self.context.self_ref.waiting
            self.context.cancel_timer(self.once)
            self.often.cancel()
            return waiting

    async with RunningSystem() as system:
        actor = Slow()
        slow = system.spawn_named("slow", lambda: actor)
        assert await slow.ask(Get(), timeout=5) == 2
        await anyio.sleep(5)
        assert actor.count == 0


async def test_fired_and_cancelled_timers_are_forgotten():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        for _ in range(50):
            probe.context.after(1, Done(1))
            probe.context.after(100, Done(2)).cancel()
            probe.context.cancel_timer(probe.context.every(100, Done(3)))
        await anyio.sleep(2)
        assert list(probe.received) == [Done(1)] * 50
        assert len(probe.context._timers) == 0
