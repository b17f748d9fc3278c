"""Functions that the kernel calls for others raise more than `Exception`; the caller's task is not affected."""

import asyncio

import pytest

from chat_actors.kernel import (
    ActorEnded,
    ActorFailed,
    DeadLetter,
    EventBus,
    Restart,
    Undelivered,
    handles,
)
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, Ping, collect, start_probe

pytestmark = pytest.mark.anyio

BAD = (asyncio.CancelledError, GeneratorExit, SystemExit)


def raiser(error):
    def raise_it(*_):
        raise error

    return raise_it


@pytest.mark.parametrize("error", BAD)
def test_listener_may_raise_anything(error):
    bus, received = EventBus(), []
    bus.listen(Ping, received.append)
    bus.listen(Ping, raiser(error))
    bus.listen(Ping, received.append)
    bus.publish(Ping(7))
    assert received == [Ping(7), Ping(7)]
    assert bus.listener_failures == 1


def test_keyboard_interrupt_is_not_the_listeners():
    """The operator's Ctrl-C may arrive while a listener runs."""
    bus = EventBus()
    bus.listen(Ping, raiser(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        bus.publish(Ping())


async def test_cancelled_listener_keeps_the_publisher():
    async with RunningSystem() as system:
        system.events.listen(ActorFailed, raiser(asyncio.CancelledError))
        counter = system.spawn_named("counter", Counter, 4)
        counter.tell(Fail())
        assert await counter.ask(Get(), timeout=5) == 4


async def test_forwarded_dead_letters_do_not_recurse():
    async with RunningSystem() as system:
        stopped = system.spawn_named("stopped", Counter)
        stopped.stop()
        await stopped.wait_stopped()
        received = collect(system, DeadLetter)
        system.events.listen(DeadLetter, stopped.tell)
        stopped.tell(Ping(5))
        assert received == [DeadLetter("/stopped", Ping(5), Undelivered.STOPPED)]
        assert system.statistics().dead_letters == {Undelivered.STOPPED: 2}
        assert system.events.listener_failures == 0
        stopped.tell(Ping(6))
        assert len(received) == 2


async def test_unhandled_dead_letters_make_no_loop():
    """The counter has no handler for the dead letters that it receives."""
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter)
        received = collect(system, DeadLetter)
        system.events.listen(DeadLetter, counter.tell)
        counter.tell(Ping(5))
        await settle(system)
        assert [letter.message for letter in received] == [Ping(5)]
        assert system.statistics().dead_letters == {Undelivered.UNHANDLED: 2}


@pytest.mark.parametrize("error", BAD)
async def test_answer_callback_does_not_hit_the_answerer(error):
    async with RunningSystem() as system:
        crashes, ends = collect(system, ActorFailed), collect(system, ActorEnded)
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter, 4)
        probe.context.ask_into(counter, Get(), into=raiser(error), failed=lambda error: Ping(1))
        assert await probe.expect(Ping) == Ping(1)
        probe.context.ask_into(counter, Get(), into=raiser(error), failed=raiser(error))
        await settle(system)
        assert [crash.path for crash in crashes] == ["/probe"]
        assert [end.path for end in ends] == ["/probe"]
        assert await counter.ask(Get(), timeout=1) == 4


async def test_pipe_callback_that_raises_is_a_failure():
    async def work():
        return 1

    async with RunningSystem() as system:
        probe = await start_probe(system)
        probe.context.pipe(work, into=raiser(asyncio.CancelledError), failed=lambda error: Ping(2))
        assert await probe.expect(Ping) == Ping(2)


class Bad(Counter):
    supervision = Restart()

    def on_delivery(self, message):
        raise asyncio.CancelledError

    @handles
    def add(self, message: Add) -> None:
        self.count = -message.amount

    def on_turn_end(self):
        if self.count < 0:
            raise asyncio.CancelledError

    def on_failure(self, message, error):
        raise asyncio.CancelledError


async def test_delivery_that_raises_does_not_hit_the_sender():
    async with RunningSystem() as system:
        crashes = collect(system, ActorFailed)
        bad = system.spawn_named("bad", Bad)
        await settle(system)
        assert bad.deliver_nowait(Add(1))
        await settle(system)
        assert [crash.path for crash in crashes] == ["/bad"]
        assert await bad.ask(Get(), timeout=1) == 0


async def test_hooks_that_raise_are_crashes():
    """`on_turn_end` and `on_failure` raise `CancelledError`, and the actor restarts."""
    async with RunningSystem() as system:
        crashes = collect(system, ActorFailed)
        bad = system.spawn_named("bad", Bad)
        bad.tell(Add(1))
        await settle(system)
        assert await bad.ask(Get(), timeout=5) == 0
        assert len(crashes) == 1
        assert system.statistics().restarts == 1


async def test_plain_handler_that_raises_cancelled_crashes():
    class Hasty(Bad):
        @handles
        def fail(self, message: Fail) -> None:
            raise asyncio.CancelledError

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        hasty = system.spawn_named("hasty", Hasty)
        hasty.tell(Fail())
        await settle(system)
        assert [letter.why for letter in letters] == [Undelivered.CRASHED]
        assert await hasty.ask(Get(), timeout=5) == 0
