import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import (
    Actor,
    ActorStopped,
    ActorSystem,
    Cause,
    Escalate,
    NameTaken,
    Statistics,
    SystemFailed,
    Undelivered,
    handles,
)
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Rooms, start_probe

pytestmark = pytest.mark.anyio


async def test_second_actor_of_a_name_is_refused():
    async with RunningSystem() as system:
        system.spawn_named("one", Counter)
        with pytest.raises(NameTaken, match="/one"):
            system.spawn_named("one", Counter)


async def test_stop_cancels_and_reports_stuck_actors():
    class StuckHandler(Actor[Add]):
        @handles
        async def add(self, message: Add) -> None:
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        stuck = system.spawn_named("stuck", StuckHandler)
        stuck.tell(Add())
        await anyio.sleep(0.1)
        assert await system.stop(within=3) == ("/stuck",)
        assert stuck.is_stopped


class StuckStart(Actor[Add]):
    """Its `on_start` never returns."""

    async def on_start(self):
        await anyio.sleep_forever()


async def test_stop_ends_youngest_and_children_first():
    order = []

    class Named(Actor[Add]):
        def __init__(self, name):
            self.name = name

        async def on_start(self):
            if self.name == "second":
                self.context.spawn_named("child", Named, "child")

        async def on_stop(self, reason):
            order.append((self.name, "begins"))
            await anyio.sleep(1)
            order.append((self.name, "ends"))

    async with RunningSystem() as system:
        system.spawn_named("first", Named, "first")
        system.spawn_named("second", Named, "second")
        await settle(system)
        assert await system.stop(within=60) == ()
    assert order == [(name, step) for name in ("child", "second", "first") for step in ("begins", "ends")]


async def test_system_stop_handles_waiting_messages():
    async with RunningSystem() as system:
        actor = Counter()
        counter = system.spawn_named("counter", lambda: actor)
        for _ in range(100):
            counter.tell(Add())
        assert await system.stop(within=5) == ()
        assert actor.count == 100


async def test_stop_returns_at_its_deadline():
    async with RunningSystem() as system:
        system.spawn_named("stuck", StuckStart)
        await anyio.sleep(1)
        began = anyio.current_time()
        await system.stop(within=3)
        assert anyio.current_time() - began == pytest.approx(3, abs=0.1)


async def test_stop_reports_children_cancelled_by_parents():
    class Parent(Actor[Add]):
        stop_within = 1.0

        async def on_start(self):
            self.context.spawn_named("stuck", StuckStart)

    async with RunningSystem() as system:
        system.spawn_named("parent", Parent)
        await anyio.sleep(1)
        assert await system.stop(within=5) == ("/parent/stuck",)


async def test_stop_does_not_report_earlier_cancellations():
    class Parent(Actor[Add]):
        stop_within = 1.0

        async def on_start(self):
            self.context.spawn_named("stuck", StuckStart)

    async with RunningSystem() as system:
        parent = system.spawn_named("parent", Parent)
        parent.stop()
        await parent.wait_stopped()
        assert await system.stop(within=5) == ()


async def test_second_stop_waits_for_the_first():
    async with RunningSystem() as system:
        system.spawn_named("stuck", StuckStart)
        reports = []

        async def stop(within):
            reports.append(await system.stop(within=within))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop, 2)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(stop, 1000)
        assert reports == [("/stuck",)] * 2
        await system.wait_stopped()


async def test_stop_before_run_returns_at_once():
    system = ActorSystem()
    with anyio.fail_after(1):
        assert await system.stop(within=100) == ()
        await system.run()


async def test_system_that_does_not_run_refuses_actors():
    system = ActorSystem()
    with pytest.raises(ActorStopped):
        system.spawn_named("early", Counter)
    async with RunningSystem() as system:
        pass
    with pytest.raises(ActorStopped):
        system.spawn_named("late", Counter)


async def test_escalation_at_the_top_stops_the_system():
    """The other actors stop in order, and `run` raises the failure."""

    class Fragile(Counter):
        supervision = Escalate()

    reasons = []

    class Other(Counter):
        async def on_stop(self, reason):
            reasons.append(reason.cause)

    async def main():
        async with RunningSystem() as system:
            system.spawn_named("other", Other)
            system.spawn_named("fragile", Fragile).tell(Fail())
            await anyio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await main()
    (failure,) = caught.value.exceptions
    assert isinstance(failure, SystemFailed)
    assert str(failure) == (
        "the actor system has stopped, because /fragile failed for good: ValueError('asked to fail')"
    )
    assert isinstance(failure.__cause__, ValueError)
    assert reasons == [Cause.STOPPED]


async def test_cancelled_system_cancels_its_actors():
    reasons = []

    class StopRecorder(Counter):
        async def on_stop(self, reason):
            reasons.append(reason)

    system = ActorSystem()
    async with anyio.create_task_group() as tasks:
        await tasks.start(system.run)
        recorder = system.spawn_named("recorder", StopRecorder)
        await settle(system)
        tasks.cancel_scope.cancel()
    assert recorder.is_stopped
    assert reasons == []
    await system.wait_stopped()


async def test_tree_shows_children_waiting_and_restarts():
    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, [])
        await settle(system)
        room = system.get_or_spawn(Rooms.actor_type, "a")
        room.tell(Fail())
        await settle(system)
        room.tell(Add())
        lines = [line for node in system.tree() for line in node.lines()]
        assert lines == ["rooms (Rooms)", "  room:a (Counter) waiting=1 restarts=1"]


async def test_statistics_count_actors_and_failures():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.after(1000, Add())
        counter = system.spawn_named("counter", Counter)
        counter.tell("unhandled")
        counter.tell(Fail())
        await settle(system)
        stuck = system.spawn_named("stuck", StuckStart)
        stuck.tell(Add())
        await anyio.sleep(0.1)
        assert system.statistics() == Statistics(
            actors=3,
            waiting=1,
            busy=1,
            timers=1,
            failures=1,
            restarts=1,
            dead_letters={Undelivered.UNHANDLED: 1, Undelivered.CRASHED: 1},
            listener_failures=0,
        )
        await system.stop(within=0)
