import asyncio

import anyio
import anyio.lowlevel
import msgspec
import pytest

from chat_actors.kernel import (
    ActorFailed,
    WorkCancelled,
    handles,
)
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import ON_ASYNCIO, Add, Counter, Get, collect, start_probe

pytestmark = pytest.mark.anyio


async def test_pipe_tells_the_result_or_the_failure():
    class Done(msgspec.Struct, frozen=True):
        what: object

    async def work():
        await anyio.sleep(10)
        return 42

    async def broken():
        raise OSError("no disk")

    async with RunningSystem() as system:
        probe = Probe()
        system.spawn_named("probe", lambda: probe)
        await settle(system)
        probe.context.pipe(work, into=Done, failed=Done)
        probe.context.pipe(broken, into=Done, failed=lambda error: Done(str(error)))
        assert await probe.expect(Done, within=20) == Done("no disk")
        assert await probe.expect(Done, within=20) == Done(42)


class Done(msgspec.Struct, frozen=True):
    what: object


async def test_piped_result_may_end_its_idle_actor():
    class EndsWhenIdle(Counter):
        async def on_start(self):
            self.context.pipe(self.look, into=Add, failed=Add)

        async def look(self):
            await anyio.sleep(5)
            assert self.context.stop_if_idle()
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        other = system.spawn_named("other", Counter)
        idle = system.spawn_named("idle", EndsWhenIdle)
        await anyio.sleep(4)
        assert not idle.is_stopped
        await anyio.sleep(2)
        assert idle.is_stopped
        await idle.wait_stopped()
        assert await other.ask(Get(), timeout=1) == 0


async def test_pipe_passes_what_into_raises_to_failed():
    async def work():
        return 0

    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.pipe(work, into=lambda n: 1 / n, failed=Done)
        assert isinstance((await probe.expect(Done)).what, ZeroDivisionError)


async def test_pipe_crash_in_failed_crashes_only_its_actor():
    async def work():
        raise OSError("no disk")

    def failed(error):
        raise RuntimeError("no plan")

    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = Counter()
        ref = system.spawn_named("counter", lambda: counter)
        await settle(system)
        happened = collect(system, ActorFailed)
        counter.context.pipe(work, into=Done, failed=failed)
        await settle(system)
        assert await ref.ask(Get(), timeout=5) == 0
        assert [(event.path, str(event.error)) for event in happened] == [("/counter", "no plan")]
        assert not probe.context.self_ref.is_stopped


async def test_pipe_is_cancelled_when_its_actor_ends():
    finished = []

    async def work():
        await anyio.sleep(5)
        finished.append(1)

    class SelfStopping(Counter):
        @handles
        def add(self, message: Add) -> None:
            self.context.pipe(work, into=Done, failed=Done)
            self.context.stop_if_idle()

    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.pipe(work, into=Done, failed=Done)
        stopping = system.spawn_named("stopping", SelfStopping)
        stopping.tell(Add())
        await anyio.sleep(1)
        probe.context.self_ref.stop()
        await anyio.sleep(10)
        assert finished == []


async def test_pipes_under_way_counts_from_call_to_message():
    async def work():
        await anyio.sleep(5)

    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.pipe(work, into=Done, failed=Done)
        assert probe.context.pipes_under_way == 1
        await settle(system)
        assert probe.received.popleft() == Done(None)
        assert probe.context.pipes_under_way == 0


@ON_ASYNCIO
async def test_pipe_cancelled_from_outside_fails():
    async def work():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.pipe(work, into=Done, failed=Done)
        error = (await probe.expect(Done)).what
        assert isinstance(error, WorkCancelled)
        assert "slow work of /probe was cancelled" in str(error)
