import asyncio
import gc
import weakref

import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import (
    ActorStopped,
    Cause,
    DeadLetter,
    Stop,
    Terminated,
    Undelivered,
    handles,
)
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import ON_ASYNCIO, Add, Counter, Fail, Get, collect, start_probe

pytestmark = pytest.mark.anyio


async def test_spawn_raises_what_the_factory_raises():
    def broken():
        raise OSError("no such thing")

    async with RunningSystem() as system:
        with pytest.raises(OSError, match="no such thing"):
            system.spawn_named("broken", broken)
        assert system.tree() == []
        system.spawn_named("broken", Counter)


async def test_messages_wait_for_the_start():
    class Late(Counter):
        async def on_start(self):
            await anyio.sleep(10)

    async with RunningSystem(stop_within=60) as system:
        late = system.spawn_named("late", Late)
        late.tell(Add(3))
        assert await late.ask(Get(), timeout=60) == 3


async def test_on_failure_that_raises_changes_nothing():
    class FailingHook(Counter):
        def on_failure(self, message, error):
            raise RuntimeError("oops")

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        failing = system.spawn_named("failing", FailingHook, 2)
        failing.tell(Fail())
        assert await failing.ask(Get(), timeout=5) == 2
        assert letters == [DeadLetter("/failing", Fail(), Undelivered.CRASHED)]


async def test_on_failure_after_on_start_has_no_message():
    last_words = []

    class Broken(Counter):
        supervision = Stop()

        def on_failure(self, message, error):
            last_words.append((message, str(error)))

    async with RunningSystem() as system:
        broken = system.spawn_named("broken", Broken, -1)
        await broken.wait_stopped()
        assert last_words == [(None, "cannot start at -1")]


async def test_crash_after_stop_if_idle_does_not_restart():
    starts = []

    class SelfEnding(Counter):
        async def on_start(self):
            starts.append(1)

        @handles
        def add(self, message: Add) -> None:
            assert self.context.stop_if_idle()
            raise ValueError

    async with RunningSystem() as system:
        ending = system.spawn_named("ending", SelfEnding)
        ending.tell(Add())
        await ending.wait_stopped()
        assert starts == [1]
        assert system.statistics().restarts == 0


async def _await_a_cancelled_future():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@ON_ASYNCIO
async def test_cancelled_future_ends_only_its_actor():
    class AwaitsFuture(Counter):
        @handles
        async def get(self, message: Get) -> int:
            await _await_a_cancelled_future()
            return 0

    async with RunningSystem() as system:
        probe = await start_probe(system)
        awaiting = system.spawn_named("awaiting", AwaitsFuture)
        probe.context.watch(awaiting)
        with pytest.raises(ActorStopped):
            await awaiting.ask(Get(), timeout=5)
        assert (await probe.expect(Terminated)).reason.cause is Cause.CANCELLED
        await anyio.sleep(1)
        assert not probe.context.self_ref.is_stopped


@ON_ASYNCIO
async def test_native_cancellation_ends_only_its_actor():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        hit = system.spawn_named("hit", Counter)
        probe.context.watch(hit)
        await settle(system)
        next(task for task in asyncio.all_tasks() if task.get_name() == "/hit").cancel()
        assert (await probe.expect(Terminated)).reason.cause is Cause.CANCELLED
        await anyio.sleep(1)
        assert not probe.context.self_ref.is_stopped


async def test_ended_actor_leaves_no_reference():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        objects = []

        def make():
            actor = Counter()
            objects.append(weakref.ref(actor))
            return actor

        for n in range(20):
            ref = system.spawn_named(f"n{n}", make)
            probe.context.watch(ref)
            ref.stop()
        await settle(system)
        probe.received.clear()
        del ref
        gc.collect()
        assert [actor_ref() for actor_ref in objects] == [None] * 20
        assert len(system.family.with_ending()) == 1
        assert len(probe.context._watched) == 0
