from itertools import count

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_actors.kernel import Actor, handles
from chat_actors.kernel.testing import RunningSystem, virtual_asyncio, virtual_trio
from chat_actors.kernel.timers import TimerQueue
from tests.kernel.conftest import Ping, start_probe

pytestmark = pytest.mark.anyio


async def test_timers_fire_in_due_order():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        began = anyio.current_time()
        for delay in (30, 10, 20):
            probe.context.after(delay, Ping(delay))
        assert [(await probe.expect(Ping, within=60)).n for _ in range(3)] == [10, 20, 30]
        assert anyio.current_time() - began == pytest.approx(30, abs=0.1)


async def test_cancelled_timer_neither_fires_nor_stays():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        timers = [probe.context.after(10, Ping(n)) for n in range(100)]
        for timer in timers[1:]:
            probe.context.cancel_timer(timer)
        assert len(system.timers) == 1
        assert (await probe.expect(Ping, within=20)).n == 0
        await anyio.sleep(20)
        assert not probe.received


async def test_cancel_after_firing_does_nothing():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        timer = probe.context.after(1, Ping())
        await probe.expect(Ping)
        timer.cancel()
        assert len(system.timers) == 0


async def test_repeating_timer_repeats_until_cancelled():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        timer = probe.context.every(5, Ping())
        await anyio.sleep(26)
        assert len(probe.received) == 5
        timer.cancel()
        await anyio.sleep(50)
        assert len(probe.received) == 5


async def test_repeating_timer_does_not_pile_up():
    class Slow(Actor[Ping]):
        def __init__(self):
            self.handled = 0

        async def on_start(self):
            self.context.every(1, Ping())

        @handles
        async def ping(self, message: Ping) -> None:
            await anyio.sleep(10)
            self.handled += 1

    async with RunningSystem(stop_within=30) as system:
        slow = Slow()
        ref = system.spawn_named("slow", lambda: slow)
        await anyio.sleep(55)
        assert slow.handled == 5
        assert ref.waiting <= 1


async def test_timers_end_with_their_actor():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.after(100, Ping())
        probe.context.self_ref.stop()
        await probe.context.self_ref.wait_stopped()
        assert len(system.timers) == 0


async def test_heap_holds_at_most_twice_the_pending_timers():
    queue = TimerQueue()
    timers = [queue.start(1000, lambda timer: None) for _ in range(1000)]
    for n, timer in enumerate(timers[:-1], 1):
        timer.cancel()
        timer.cancel()
        live = 1000 - n
        assert len(queue) == live
        assert len(queue._heap) <= 2 * live


async def test_timers_due_together_fire_in_start_order():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        for n in range(20):
            probe.context.after(5, Ping(n))
        await anyio.sleep(6)
        assert [ping.n for ping in probe.received] == list(range(20))


async def test_earlier_timer_wakes_the_queue():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.after(1000, Ping(2))
        await anyio.sleep(1)
        began = anyio.current_time()
        probe.context.after(1, Ping(1))
        await probe.expect(Ping)
        assert anyio.current_time() - began == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("interval", [0, -1, 0.0009, float("nan")])
async def test_too_short_interval_is_refused(interval):
    async with RunningSystem() as system:
        probe = await start_probe(system)
        with pytest.raises(ValueError, match=r"the shortest is 0\.001 s"):
            probe.context.every(interval, Ping())
        assert len(system.timers) == 0


@pytest.mark.parametrize("delay", [0, -5])
async def test_zero_delay_fires_as_soon_as_possible(delay):
    async with RunningSystem() as system:
        probe = await start_probe(system)
        began = anyio.current_time()
        probe.context.after(delay, Ping())
        await probe.expect(Ping)
        assert anyio.current_time() - began < 0.1


async def test_repeating_timer_fires_once_after_a_stall():
    fired = []
    queue = TimerQueue()
    queue.start(1, lambda timer: fired.append(timer.due), interval=1)
    await anyio.sleep(10.5)  # the queue does not run meanwhile
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.run)
        await anyio.sleep(0.1)
        assert len(fired) == 1
        await anyio.sleep(1)
        assert len(fired) == 2
        tasks.cancel_scope.cancel()


async def test_timer_may_be_cancelled_while_it_fires():
    fired = []

    def fire(timer):
        fired.append(1)
        timer.cancel()

    queue = TimerQueue()
    queue.start(1, fire, interval=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.run)
        await anyio.sleep(10)
        tasks.cancel_scope.cancel()
    assert fired == [1]
    assert len(queue) == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("once"), st.integers(0, 8)),
        st.tuples(st.just("every"), st.integers(1, 8)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.integers(1, 6)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("backend", [virtual_asyncio, virtual_trio])
@given(steps=STEPS)
@settings(deadline=None)
def test_timer_queue_agrees_with_a_model(backend, steps):
    name, options = backend()
    anyio.run(_run_against_a_sorted_list, steps, backend=name, backend_options=options)


async def _run_against_a_sorted_list(steps):
    queue, timers, fired = TimerQueue(), [], []
    model, expected = [], []  # pending: [due, order, label, interval]
    now, orders = 0, count()

    def start(label, delay, interval):
        # Half a second off the steps, so that a timer and a step are never due at the same time.
        timers.append(
            queue.start(delay + 0.5, lambda timer: fired.append((label, round(timer_time(), 3))), interval=interval)
        )
        model.append([now + delay + 0.5, next(orders), label, interval])

    began = anyio.current_time()

    def timer_time():
        return anyio.current_time() - began

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.run)
        for step, amount in steps:
            match step:
                case "once":
                    start(len(timers), amount, None)
                case "every":
                    start(len(timers), amount, amount)
                case "cancel" if amount < len(timers):
                    timers[amount].cancel()
                    model[:] = [entry for entry in model if entry[2] != amount]
                case "wait":
                    await anyio.sleep(now + amount - timer_time())
                    now += amount
                    while model and min(model)[0] < now:
                        first = min(model)
                        expected.append((first[2], first[0]))
                        model.remove(first)
                        if first[3] is not None:
                            model.append([first[0] + first[3], next(orders), *first[2:]])
            assert fired == expected
            assert len(queue) == len(model)
            assert len(queue._heap) <= 2 * len(model)
        tasks.cancel_scope.cancel()


async def test_late_cancellation_keeps_the_count_right():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        for _ in range(10):
            probe.context.after(1000, Ping())
        fired = probe.context.after(1, Ping())
        await probe.expect(Ping)
        fired.cancel()
        assert len(system.timers) == 10


async def test_cancelled_timers_leave_with_the_last_pending():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        for _ in range(10):
            probe.context.after(1, Ping())
            probe.context.after(100_000, Ping()).cancel()
        await anyio.sleep(2)
        assert len(system.timers._heap) == 0
