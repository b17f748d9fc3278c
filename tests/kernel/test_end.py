import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import (
    Actor,
    ActorEnded,
    ActorFailed,
    ActorStopped,
    Cause,
    DeadLetter,
    Terminated,
    Undelivered,
)
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, collect, start_probe

pytestmark = pytest.mark.anyio


async def test_stop_handles_what_was_queued_before():
    """A message sent after the stop is a dead letter."""
    async with RunningSystem() as system:
        actor = Counter()
        counter = system.spawn_named("counter", lambda: actor)
        counter.tell(Add(1))
        counter.stop()
        counter.tell(Add(10))
        await counter.wait_stopped()
        assert actor.count == 1
        assert not counter.tell(Add(100))
        assert system.statistics().dead_letters == {Undelivered.STOPPED: 2}


async def test_on_stop_is_cut_after_its_limit():
    class SlowStop(Counter):
        stop_within = 2.0

        async def on_stop(self, reason):
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        slow = system.spawn_named("slow", SlowStop)
        began = anyio.current_time()
        slow.stop()
        await slow.wait_stopped()
        assert anyio.current_time() - began == pytest.approx(2.0, abs=0.5)


class Named(Actor[Add]):
    """Spawns a branch of children and records the order of their ends."""

    def __init__(self, name, order, children=()):
        self.name = name
        self.order = order
        self.wanted = children

    async def on_start(self):
        for name, children in self.wanted:
            self.context.spawn_named(name, Named, name, self.order, children)

    async def on_stop(self, reason):
        self.order.append((self.name, reason.cause))


class StuckStart(Actor[Add]):
    """Its `on_start` never returns."""

    async def on_start(self):
        await anyio.sleep_forever()


async def test_children_end_first_and_get_the_reason():
    order = []
    async with RunningSystem() as system:
        top = system.spawn_named("top", Named, "top", order, [("a", [("a1", [])]), ("b", [])])
        await settle(system)
        top.stop()
        await top.wait_stopped()
        names = [name for name, _ in order]
        assert names.index("a1") < names.index("a") < names.index("top")
        assert names.index("b") < names.index("top") == 3
        assert {cause for _, cause in order} == {Cause.STOPPED}


async def test_late_child_is_cancelled_and_parent_stops(caplog):
    """The parent's `on_stop` still runs."""

    class Parent(Named):
        stop_within = 2.0

        async def on_start(self):
            self.context.spawn_named("stuck", StuckStart)

    order = []
    async with RunningSystem() as system:
        probe = await start_probe(system)
        parent = system.spawn_named("parent", Parent, "parent", order)
        await anyio.sleep(1)
        stuck = next(iter(system.family.with_ending()[1].family)).ref
        probe.context.watch(stuck)
        caplog.set_level("WARNING", "chat_actors.kernel")
        parent.stop()
        assert (await probe.expect(Terminated)).reason.cause is Cause.CANCELLED
        await parent.wait_stopped()
        assert order == [("parent", Cause.STOPPED)]
        assert "/parent/stuck did not stop within 2 s and is cancelled" in caplog.text


async def test_children_of_a_cancelled_actor_are_cancelled():
    class Deaf(Counter):
        async def on_start(self):
            self.context.spawn_named("grandchild", Counter)
            await anyio.sleep_forever()

    class Parent(Counter):
        stop_within = 1.0

        async def on_start(self):
            self.context.spawn_named("deaf", Deaf)

    async with RunningSystem() as system:
        ended = collect(system, ActorEnded)
        parent = system.spawn_named("parent", Parent)
        await anyio.sleep(1)
        parent.stop()
        await parent.wait_stopped()
        await anyio.sleep(0.1)
        assert {(event.path, event.reason.cause) for event in ended} == {
            ("/parent", Cause.STOPPED),
            ("/parent/deaf", Cause.CANCELLED),
            ("/parent/deaf/grandchild", Cause.CANCELLED),
        }


async def test_on_stop_is_shielded_from_system_deadline():
    reasons = []

    class SlowStop(Counter):
        async def on_stop(self, reason):
            await anyio.sleep(3)
            reasons.append(reason.cause)

    async with RunningSystem() as system:
        system.spawn_named("slow", SlowStop)
        await settle(system)
        assert await system.stop(within=1) == ("/slow",)
        assert reasons == [Cause.STOPPED]


async def test_on_stop_that_is_cut_is_logged(caplog):
    class SlowStop(Counter):
        stop_within = 2.0

        async def on_stop(self, reason):
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        caplog.set_level("WARNING", "chat_actors.kernel")
        slow = system.spawn_named("slow", SlowStop)
        slow.stop()
        await slow.wait_stopped()
        assert "the on_stop of /slow took over 2 s and was cut short" in caplog.text


async def test_on_stop_that_raises_is_reported():
    class FailingStop(Counter):
        async def on_stop(self, reason):
            raise ValueError("and another thing")

    async with RunningSystem() as system:
        failed = collect(system, ActorFailed)
        probe = await start_probe(system)
        failing = system.spawn_named("failing", FailingStop)
        probe.context.watch(failing)
        failing.stop()
        assert (await probe.expect(Terminated)).reason.cause is Cause.STOPPED
        assert [str(event.error) for event in failed] == ["and another thing"]


async def test_second_stop_does_nothing():
    order = []
    async with RunningSystem() as system:
        named = system.spawn_named("named", Named, "named", order)
        named.stop()
        named.stop()
        assert named.waiting == 1
        await named.wait_stopped()
        assert len(order) == 1


async def test_ending_actor_refuses_messages_and_children():
    class Slow(Counter):
        async def on_stop(self, reason):
            await anyio.sleep(2)

    class Parent(Probe):
        async def on_start(self):
            self.context.spawn_named("slow", Slow)

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        parent = Parent()
        ref = system.spawn_named("parent", lambda: parent)
        await settle(system)
        ref.stop()
        await anyio.sleep(1)
        assert ref.is_stopped
        assert not ref.tell(Add())
        with pytest.raises(ActorStopped):
            parent.context.spawn_named("another", Counter)
        assert letters == [DeadLetter("/parent", Add(), Undelivered.STOPPED)]
        assert [node.path for node in system.tree()] == ["/parent"]
