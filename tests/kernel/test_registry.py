from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import ActorStopped, ActorType, Restart, UnknownActorType, handles
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Rooms

pytestmark = pytest.mark.anyio


async def test_get_or_spawn_starts_one_actor_for_a_key():
    made = []
    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, made)
        await settle(system)
        refs = {system.get_or_spawn(Rooms.actor_type, "a") for _ in range(10)}
        assert len(refs) == 1
        assert made == ["a"]


async def test_undeclared_actor_type_is_an_error():
    async with RunningSystem() as system:
        with pytest.raises(UnknownActorType, match="nowhere"):
            system.get_or_spawn(ActorType("nowhere"), "x")


class SelfEnding(Counter):
    """Ends itself when no message waits."""

    handled: ClassVar[list] = []

    @handles
    def add(self, message: Add) -> None:
        self.handled.append(message.amount)
        self.context.stop_if_idle()


async def _send_through(system, n):
    """Send to the running actor, and look it up again if it has ended."""
    while True:
        room = system.get_or_spawn(Rooms.actor_type, "a")
        try:
            await room.send(Add(n))
        except ActorStopped:
            continue
        return room


async def test_stop_if_idle_loses_no_message():
    made = []
    SelfEnding.handled.clear()
    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, made, SelfEnding)
        await settle(system)
        for burst in ([1], [2, 3, 4], [5], [6, 7, 8, 9]):
            for n in burst:
                room = await _send_through(system, n)
            await settle(system)
            assert room.is_stopped
        assert SelfEnding.handled == list(range(1, 10))
        assert made == ["a"] * 4
        assert system.statistics().dead_letters == {}


async def test_stop_if_idle_loses_none_of_many_senders():
    class Tiny(SelfEnding):
        mailbox_capacity = 1

        @handles
        async def add(self, message: Add) -> None:
            await anyio.lowlevel.checkpoint()
            self.handled.append(message.amount)
            self.context.stop_if_idle()

    async def sender(first):
        for n in range(first, first + 20):
            await _send_through(system, n)
            if n % 3 == 0:
                await anyio.sleep(0.01)

    made = []
    SelfEnding.handled.clear()
    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, made, Tiny)
        await settle(system)
        async with anyio.create_task_group() as tasks:
            for first in range(0, 100, 20):
                tasks.start_soon(sender, first)
        await settle(system)
        assert sorted(SelfEnding.handled) == list(range(100))
        assert len(made) > 1
        assert system.statistics().dead_letters == {}
        assert system.registry.running(Rooms.actor_type) == {}


@pytest.mark.parametrize("fault", ["make", "factory"])
async def test_failed_spawn_leaves_no_entry(fault):
    class Faulty(Rooms):
        def make(self, key):
            if fault == "make":
                raise OSError("no room")
            return self.factory

        def factory(self):
            raise OSError("no room")

    async with RunningSystem() as system:
        system.spawn_named("rooms", Faulty, [])
        await settle(system)
        with pytest.raises(OSError, match="no room"):
            system.get_or_spawn(Rooms.actor_type, "a")
        assert system.registry.running(Rooms.actor_type) == {}


async def test_running_lists_only_running_actors():
    async with RunningSystem() as system:
        rooms = system.spawn_named("rooms", Rooms, [])
        assert system.registry.running(Rooms.actor_type) == {}
        await settle(system)
        refs = {key: system.get_or_spawn(Rooms.actor_type, key) for key in "abc"}
        assert system.registry.running(Rooms.actor_type) == refs
        refs["a"].stop()
        await settle(system)
        assert set(system.registry.running(Rooms.actor_type)) == {"b", "c"}
        rooms.stop()
        await rooms.wait_stopped()
        assert system.registry.running(Rooms.actor_type) == {}
        with pytest.raises(ActorStopped):
            system.get_or_spawn(Rooms.actor_type, "d")


async def test_restarted_parent_keeps_its_running_actors():
    class Fragile(Rooms):
        supervision = Restart()

        @handles
        def fail(self, message: Fail) -> None:
            raise ValueError

    async with RunningSystem() as system:
        rooms = system.spawn_named("rooms", Fragile, [])
        await settle(system)
        room = system.get_or_spawn(Rooms.actor_type, "a")
        rooms.tell(Fail())
        await settle(system)
        assert system.statistics().restarts == 1
        assert system.get_or_spawn(Rooms.actor_type, "a") is room


async def test_new_parent_takes_over_the_actor_type():
    async with RunningSystem() as system:
        rooms = system.spawn_named("rooms", Rooms, [])
        await settle(system)
        rooms.stop()
        await rooms.wait_stopped()
        made = []
        system.spawn_named("rooms", Rooms, made)
        await settle(system)
        assert system.get_or_spawn(Rooms.actor_type, "a").path == "/rooms/room:a"
        assert made == ["a"]
