import gc
import weakref

import pytest

from chat_actors.kernel import Actor, Cause, Terminated, handles
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Counter, Get, start_probe

pytestmark = pytest.mark.anyio


async def test_watch_of_an_ended_actor_notifies_once():
    """The same as a watch that began before the end."""
    async with RunningSystem() as system:
        probe = Probe()
        system.spawn_named("probe", lambda: probe)
        early = system.spawn_named("early", Counter)
        late = system.spawn_named("late", Counter)
        await settle(system)
        probe.context.watch(early)
        early.stop()
        late.stop()
        await late.wait_stopped()
        probe.context.watch(late)
        assert {(await probe.expect(Terminated)).ref for _ in range(2)} == {early, late}
        await settle(system)
        assert not probe.received


async def test_unwatch_removes_a_queued_notice():
    class Unwatching(Actor[Get]):
        def __init__(self, other):
            self.other = other
            self.notices = 0

        @handles
        async def get(self, message: Get) -> int:
            self.context.watch(self.other)
            self.other.stop()
            await self.other.wait_stopped()
            waiting = self.context.self_ref.waiting
            self.context.unwatch(self.other)
            return waiting

        @handles
        def ended(self, message: Terminated) -> None:
            self.notices += 1

    async with RunningSystem() as system:
        unwatching = Unwatching(system.spawn_named("counter", Counter))
        ref = system.spawn_named("unwatching", lambda: unwatching)
        assert await ref.ask(Get(), timeout=5) == 1
        await settle(system)
        assert unwatching.notices == 0


async def test_watcher_gets_the_stop_reason():
    async with RunningSystem() as system:
        probe = Probe()
        system.spawn_named("probe", lambda: probe)
        counter = system.spawn_named("counter", Counter)
        await settle(system)
        probe.context.watch(counter)
        counter.stop()
        assert (await probe.expect(Terminated)).reason.cause is Cause.STOPPED


async def test_repeated_watch_notifies_once():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter)
        for _ in range(3):
            probe.context.watch(counter)
        counter.stop()
        await settle(system)
        assert [message.ref for message in probe.received] == [counter]


async def test_renewed_watch_notifies_once():
    """The watcher unwatches and watches again while the first notice is queued."""

    class Unwatching(Probe):
        @handles
        async def get(self, message: Get) -> int:
            self.context.watch(counter)
            counter.stop()
            await counter.wait_stopped()
            self.context.unwatch(counter)
            self.context.watch(counter)
            return self.context.self_ref.waiting

    async with RunningSystem() as system:
        unwatching = Unwatching()
        ref = system.spawn_named("unwatching", lambda: unwatching)
        counter = system.spawn_named("counter", Counter)
        assert await ref.ask(Get(), timeout=5) == 2
        await settle(system)
        assert [message.ref for message in unwatching.received] == [counter]


async def test_ended_watcher_is_forgotten():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter)
        probe.context.watch(counter)
        probe.context.self_ref.stop()
        await probe.context.self_ref.wait_stopped()
        (cell,) = system.family.with_ending()
        assert not cell.watchers


async def test_every_watcher_gets_the_reason():
    async with RunningSystem() as system:
        probes = [await start_probe(system, f"p{n}") for n in range(3)]
        counter = system.spawn_named("counter", Counter, -1)
        for probe in probes:
            probe.context.watch(counter)
        for probe in probes:
            reason = (await probe.expect(Terminated)).reason
            assert (reason.cause, str(reason.error)) == (Cause.FAILED, "cannot start at -1")


async def test_ended_actor_keeps_no_watchers():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter)
        probe.context.watch(counter)
        watcher = probe.context.self_ref
        counter.stop()
        await counter.wait_stopped()
        watcher.stop()
        await watcher.wait_stopped()
        probe_ref = weakref.ref(probe)
        del probe, watcher
        gc.collect()
        assert probe_ref() is None
        assert counter.is_stopped
