"""Actors that run in a task of the caller."""

import anyio
import pytest

from chat_actors.kernel import Actor, ActorEnded, ActorStopped, Cause, Request, Terminated, handles
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, collect, start_probe

pytestmark = pytest.mark.anyio


class Make(Request[object]):
    pass


class Parent(Actor[Make]):
    stop_within = 2.0

    @handles
    def make(self, message: Make) -> object:
        return self.context.spawn_hosted(Counter, 5)


async def hosted_by(system):
    parent = system.spawn_named("parent", Parent)
    return await parent.ask(Make(), timeout=1)


async def test_hosted_actor_runs_in_the_callers_task():
    async with RunningSystem() as system, anyio.create_task_group() as tasks:
        hosted = await hosted_by(system)
        tasks.start_soon(hosted.run)
        hosted.ref.tell(Add(2))
        assert await hosted.ref.ask(Get(), timeout=1) == 7
        hosted.ref.stop()


async def test_hosted_run_returns_after_a_crash():
    async with RunningSystem() as system:
        hosted = await hosted_by(system)
        for _ in range(3):
            hosted.ref.tell(Fail())
        await hosted.run()
        assert hosted.ref.is_stopped


async def test_hosted_actor_ends_with_its_parent():
    async with RunningSystem() as system, anyio.create_task_group() as tasks:
        hosted = await hosted_by(system)
        ends = collect(system, ActorEnded)
        tasks.start_soon(hosted.run)
        await settle(system)
        await system.stop(within=5)
        assert [(end.path, end.reason.cause) for end in ends] == [
            ("/parent/counter-1", Cause.STOPPED),
            ("/parent", Cause.STOPPED),
        ]


async def test_late_hosted_actor_is_cancelled_alone():
    """The task that hosts it continues."""

    class StuckStart(Counter):
        async def on_start(self):
            await anyio.sleep_forever()

    class StuckParent(Parent):
        @handles
        def make(self, message: Make) -> object:
            return self.context.spawn_hosted(StuckStart)

    async with RunningSystem() as system:
        parent = system.spawn_named("parent", StuckParent)
        hosted = await parent.ask(Make(), timeout=1)
        continued = []

        async def host():
            await hosted.run()
            continued.append(True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host)
            await anyio.wait_all_tasks_blocked()
            parent.stop()
        assert continued == [True]


async def test_host_cancellation_ends_the_hosted_actor():
    """Watchers are notified."""
    async with RunningSystem() as system:
        probe = await start_probe(system)
        hosted = await hosted_by(system)
        probe.context.watch(hosted.ref)
        with anyio.move_on_after(1) as deadline:
            await hosted.run()
        assert deadline.cancelled_caught
        assert (await probe.expect(Terminated)).reason.cause is Cause.CANCELLED


async def test_hosted_actor_stopped_before_run_has_ended():
    async with RunningSystem() as system:
        hosted = await hosted_by(system)
        asked = []

        async def ask():
            try:
                await hosted.ref.ask(Get(), timeout=5)
            except ActorStopped:
                asked.append("stopped")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            hosted.ref.stop()
        assert asked == ["stopped"]
        await hosted.ref.wait_stopped()
        await hosted.run()


async def test_hosted_actor_never_run_does_not_delay_the_end():
    async with RunningSystem() as system:
        await hosted_by(system)
        with anyio.fail_after(1):
            assert await system.stop(within=0.5) == ()
