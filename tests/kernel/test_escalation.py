import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import ActorFailed, ChildFailed, Escalate, Restart, Stop, SystemFailed, Terminated, handles
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, start_probe

pytestmark = pytest.mark.anyio


async def test_escalated_crash_becomes_the_parents():
    class Fragile(Counter):
        supervision = Escalate()

    class Parent(Counter):
        @handles
        def add(self, message: Add) -> None:
            self.context.spawn(Fragile).tell(Fail())

    failed = []
    async with RunningSystem() as system:
        system.events.listen(ActorFailed, failed.append)
        parent = system.spawn_named("parent", Parent)
        parent.tell(Add())
        await settle(system)
        assert isinstance(failed[-1].error, ChildFailed)
        assert failed[-1].path == "/parent"
        assert not parent.is_stopped


async def test_restart_escalates_when_used_up():
    class Fragile(Counter):
        supervision = Restart(at_most=0, then=Escalate())

    class Parent(Counter):
        supervision = Stop()

        async def on_start(self):
            self.context.spawn_named("fragile", Fragile).tell(Fail())

    async with RunningSystem() as system:
        probe = await start_probe(system)
        parent = system.spawn_named("parent", Parent)
        probe.context.watch(parent)
        error = (await probe.expect(Terminated)).reason.error
        assert isinstance(error, ChildFailed)
        assert isinstance(error.__cause__, ValueError)
        assert str(error) == "the child /parent/fragile gave up: ValueError('asked to fail')"


async def test_escalation_at_the_top_ends_the_system():
    class Link(Counter):
        supervision = Escalate()

        def __init__(self, depth):
            super().__init__()
            self.depth = depth

        async def on_start(self):
            if self.depth:
                self.context.spawn_named("next", Link, self.depth - 1)
            else:
                self.context.self_ref.tell(Fail())

    async def main():
        async with RunningSystem() as system:
            system.spawn_named("top", Link, 2)
            await anyio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        await main()
    (failure,) = caught.value.exceptions
    assert isinstance(failure, SystemFailed)
    assert failure.path == "/top"
    assert failure.__cause__.path == "/top/next"
    assert failure.__cause__.__cause__.path == "/top/next/next"


async def test_stopped_child_does_not_crash_its_parent():
    class Fragile(Counter):
        supervision = Stop()

    class Parent(Counter):
        async def on_start(self):
            self.context.spawn_named("fragile", Fragile).tell(Fail())

    async with RunningSystem() as system:
        parent = system.spawn_named("parent", Parent)
        await settle(system)
        assert await parent.ask(Get(), timeout=1) == 0
        assert system.statistics().failures == 1
