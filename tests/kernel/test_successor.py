"""A successor: an actor that is started while another of its name is ending."""

from functools import partial

import anyio
import pytest

from chat_actors.kernel import ActorEnded, ActorStopped, Cause, NameTaken, handles
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Get, Rooms, collect

pytestmark = pytest.mark.anyio


class Diary(Counter):
    """Records its starts and ends. Its `on_stop` takes `seconds`."""

    def __init__(self, diary, seconds=2.0):
        super().__init__()
        self.diary = diary
        self.seconds = seconds

    async def on_start(self):
        self.diary.append("start")

    def on_delivery(self, message):
        self.diary.append("delivery")

    async def on_stop(self, reason):
        await anyio.sleep(self.seconds)
        self.diary.append("end")


async def ending(system, spawn):
    """Start an actor and order its end, which takes 2 s. Returns its ref after the first of them."""
    actor = spawn()
    await settle(system)
    actor.stop()
    await anyio.sleep(1)
    return actor


async def ending_room(system, make_room):
    """The same for an actor with a key. Returns the refs of its parent and of itself."""
    rooms = system.spawn_named("rooms", Rooms, [], make_room)
    await settle(system)
    return rooms, await ending(system, lambda: system.get_or_spawn(Rooms.actor_type, "a"))


async def test_successor_starts_after_the_end():
    diary = []
    async with RunningSystem() as system:
        _, first = await ending_room(system, partial(Diary, diary))
        second = system.get_or_spawn(Rooms.actor_type, "a")
        assert second is not first
        assert second.path == first.path
        assert system.get_or_spawn(Rooms.actor_type, "a") is second
        assert second.tell(Add(3))
        assert not second.deliver_nowait(Add(1))
        await anyio.sleep(0.5)
        assert diary == ["start"]
        assert await second.ask(Get(), timeout=5) == 3
        assert diary == ["start", "end", "start"]
        assert system.get_or_spawn(Rooms.actor_type, "a") is second
        assert second.deliver_nowait(Add(1))


async def test_successor_of_a_name_starts_after_the_end():
    diary = []
    async with RunningSystem() as system:
        first = await ending(system, lambda: system.spawn_named("one", Diary, diary))
        second = system.spawn_named("one", Diary, diary)
        assert [node.path for node in system.tree()] == ["/one", "/one"]
        with pytest.raises(NameTaken):
            system.spawn_named("one", Counter)
        assert await second.ask(Get(), timeout=5) == 0
        assert diary == ["start", "end", "start"]
        assert first.is_stopped
        assert not second.is_stopped


async def test_waiting_successor_handles_messages_before_its_stop():
    diary = []
    async with RunningSystem() as system:
        _, first = await ending_room(system, partial(Diary, diary))
        second = system.get_or_spawn(Rooms.actor_type, "a")
        second.stop()
        await second.wait_stopped()
        assert first.is_stopped
        assert diary == ["start", "end", "start", "end"]
        assert system.registry.running(Rooms.actor_type) == {}


async def test_cancelled_successor_leaves_the_name_to_the_next():
    """The third still waits for the first."""
    diary = []
    async with RunningSystem() as system:
        await ending_room(system, partial(Diary, diary))
        second = system.get_or_spawn(Rooms.actor_type, "a")
        second._cell.cancel()
        await second.wait_stopped()
        third = system.get_or_spawn(Rooms.actor_type, "a")
        assert third is not second
        assert diary == ["start"]
        assert await third.ask(Get(), timeout=5) == 0
        assert diary == ["start", "end", "start"]


async def test_successor_ends_with_its_parent():
    diary = []
    async with RunningSystem() as system:
        rooms, _ = await ending_room(system, partial(Diary, diary))
        second = system.get_or_spawn(Rooms.actor_type, "a")
        rooms.stop()
        await rooms.wait_stopped()
        assert second.is_stopped
        assert diary == ["start", "end", "start", "end"]
        with pytest.raises(ActorStopped):
            system.get_or_spawn(Rooms.actor_type, "a")


async def test_late_predecessor_and_successor_are_cancelled():
    """The parent's deadline ends both, and the successor never starts."""

    class HasStuckChild(Counter):
        stop_within = 60.0

        async def on_start(self):
            starts.append(self)
            self.context.spawn(StuckStart)

    class StuckStart(Counter):
        async def on_start(self):
            await anyio.sleep_forever()

    starts = []
    async with RunningSystem(stop_within=60) as system:
        ends = collect(system, ActorEnded)
        rooms = system.spawn_named("rooms", Rooms, [], HasStuckChild)
        await settle(system)
        system.get_or_spawn(Rooms.actor_type, "a").stop()
        await anyio.sleep(1)
        second = system.get_or_spawn(Rooms.actor_type, "a")
        rooms.stop()
        await rooms.wait_stopped()
        assert second.is_stopped
        causes = {end.reason.cause for end in ends if end.path == second.path}
        assert causes == {Cause.STOPPED, Cause.CANCELLED}
        assert len(starts) == 1


async def test_system_stops_a_waiting_successor():
    diary = []
    async with RunningSystem() as system:
        await ending(system, lambda: system.spawn_named("one", Diary, diary))
        system.spawn_named("one", Diary, diary)
        assert await system.stop(within=10) == ()
    assert diary == ["start", "end", "start", "end"]


async def test_successors_of_a_crash_loop_never_overlap():
    """Each actor ends itself at its first message, while its successor already waits."""
    running = []

    class Alone(Counter):
        async def on_start(self):
            running.append(+1)
            assert sum(running) == 1

        @handles
        def add(self, message: Add) -> None:
            self.context.stop_if_idle()

        async def on_stop(self, reason):
            await anyio.sleep(0.5)
            running.append(-1)

    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, [], Alone)
        await settle(system)
        for _ in range(5):
            system.get_or_spawn(Rooms.actor_type, "a").tell(Add())
            await anyio.sleep(0.1)
        await anyio.sleep(5)
        assert sum(running) == 0
        assert len(running) >= 4


async def test_hosted_child_needs_a_free_name():
    """Its task is the caller's, which cannot wait."""
    async with RunningSystem() as system:
        probe = Probe()
        system.spawn_named("probe", lambda: probe)
        await settle(system)
        await ending(system, lambda: probe.context.spawn_named("diary-1", Diary, []))
        with pytest.raises(NameTaken):
            probe.context.spawn_hosted(Diary, [])
