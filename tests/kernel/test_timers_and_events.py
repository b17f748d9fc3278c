import anyio
import msgspec
import pytest

from chat_actors.kernel import Actor, EventBus, handles
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from chat_actors.kernel.timers import TimerQueue

pytestmark = pytest.mark.anyio


class Ping(msgspec.Struct, frozen=True):
    n: int = 0


async def _probe(system):
    probe = Probe()
    system.spawn_named("probe", lambda: probe)
    await settle(system)
    return probe


async def test_timers_fire_in_the_order_in_which_they_are_due():
    async with RunningSystem() as system:
        probe = await _probe(system)
        began = anyio.current_time()
        for delay in (30, 10, 20):
            probe.context.after(delay, Ping(delay))
        assert [(await probe.expect(Ping, within=60)).n for _ in range(3)] == [10, 20, 30]
        assert anyio.current_time() - began == pytest.approx(30, abs=0.1)


async def test_a_cancelled_timer_never_fires_and_leaves_no_entry():
    async with RunningSystem() as system:
        probe = await _probe(system)
        timers = [probe.context.after(10, Ping(n)) for n in range(100)]
        for timer in timers[1:]:
            probe.context.cancel_timer(timer)
        assert len(system.timers) == 1
        assert (await probe.expect(Ping, within=20)).n == 0
        await anyio.sleep(20)
        assert not probe.received


async def test_cancelling_a_timer_that_has_fired_changes_nothing():
    async with RunningSystem() as system:
        probe = await _probe(system)
        timer = probe.context.after(1, Ping())
        await probe.expect(Ping)
        timer.cancel()
        assert len(system.timers) == 0


async def test_a_repeating_timer_repeats_until_it_is_cancelled():
    async with RunningSystem() as system:
        probe = await _probe(system)
        timer = probe.context.every(5, Ping())
        await anyio.sleep(26)
        assert len(probe.received) == 5
        timer.cancel()
        await anyio.sleep(50)
        assert len(probe.received) == 5


async def test_a_repeating_timer_of_a_slow_actor_does_not_pile_up():
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


async def test_the_timers_of_an_actor_end_with_it():
    async with RunningSystem() as system:
        probe = await _probe(system)
        probe.context.after(100, Ping())
        probe.context.self_ref.stop()
        await probe.context.self_ref.wait_stopped()
        assert len(system.timers) == 0


async def test_the_heap_holds_at_most_twice_the_live_timers():
    queue = TimerQueue()
    for _ in range(10):
        for timer in [queue.start(1000, lambda timer: None) for _ in range(100)]:
            timer.cancel()
    assert len(queue._heap) == 0


def test_every_listener_hears_an_event_although_another_one_fails(caplog):
    bus, heard = EventBus(), []
    bus.listen(Ping, heard.append)
    bus.listen(Ping, lambda event: 1 / 0)
    bus.listen(Ping, heard.append)
    bus.publish(Ping(7))
    assert heard == [Ping(7), Ping(7)]
    assert bus.listener_failures == 1


def test_a_lambda_that_nobody_keeps_still_listens_until_it_is_told_to_stop():
    bus, heard = EventBus(), []
    assert not bus.has_listeners(Ping)
    forget = bus.listen(Ping, lambda event: heard.append(event.n))
    assert bus.has_listeners(Ping)
    bus.publish(Ping(1))
    forget()
    assert not bus.has_listeners(Ping)
    bus.publish(Ping(2))
    assert heard == [1]
