import time

import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import handles
from chat_actors.kernel.testing import RunningSystem, settle, virtual_asyncio, virtual_trio
from tests.kernel.conftest import Add, Counter, Get, start_probe

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("backend", [virtual_asyncio, virtual_trio])
def test_virtual_clock_skips_a_day(backend):
    async def sleep():
        began = anyio.current_time()
        await anyio.sleep(86_400)
        return anyio.current_time() - began

    name, options = backend()
    began = time.monotonic()
    assert anyio.run(sleep, backend=name, backend_options=options) == pytest.approx(86_400)
    assert time.monotonic() - began < 10


async def test_virtual_sleepers_wake_in_order():
    woken = []

    async def sleep(seconds):
        await anyio.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as tasks:
        for seconds in (300, 1, 20, 0):
            tasks.start_soon(sleep, seconds)
    assert woken == [0, 1, 20, 300]


async def test_probe_returns_messages_in_order():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.self_ref.tell(Add(1))
        probe.context.self_ref.tell(Get())
        assert await probe.expect(Add) == Add(1)
        assert await probe.expect(Get) == Get()


async def test_probe_names_an_unexpected_message():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.self_ref.tell(Add(1))
        with pytest.raises(AssertionError, match=r"expected Get, got Add\(amount=1\)"):
            await probe.expect(Get)


async def test_probe_fails_in_time_without_a_message():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        began = anyio.current_time()
        with pytest.raises(AssertionError, match="no Get came within 3 s"):
            await probe.expect(Get, within=3)
        assert anyio.current_time() - began == pytest.approx(3, abs=0.01)


async def test_settle_waits_for_handlers_and_piped_work():
    """It does not wait for timers."""

    async def work():
        await anyio.sleep(0.2)
        return 100

    class Slow(Counter):
        @handles
        async def add(self, message: Add) -> None:
            await anyio.sleep(0.1)
            self.count += message.amount

        async def on_start(self):
            self.context.pipe(work, into=Add, failed=Add)
            self.context.after(1000, Add(5))

    async with RunningSystem() as system:
        actor = Slow()
        ref = system.spawn_named("slow", lambda: actor)
        ref.tell(Add(1))
        began = anyio.current_time()
        await settle(system)
        assert actor.count == 101
        assert anyio.current_time() - began == pytest.approx(0.3, abs=0.01)


async def test_running_system_ends_if_its_block_raises():
    refs = []

    async def main():
        async with RunningSystem() as system:
            refs.append(system.spawn_named("counter", Counter))
            raise ValueError("in the block")

    with pytest.raises(BaseExceptionGroup) as caught:
        await main()
    assert refs[0].is_stopped
    assert [str(error) for error in caught.value.exceptions] == ["in the block"]
