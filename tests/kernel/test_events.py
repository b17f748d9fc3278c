import anyio
import msgspec
import pytest

from chat_actors.kernel import (
    Actor,
    ActorEnded,
    ActorFailed,
    ActorRestarted,
    Cause,
    DeadLetter,
    EventBus,
    Restart,
    StopReason,
    Undelivered,
    handles,
)
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Counter, Fail, Get, Ping, start_probe

pytestmark = pytest.mark.anyio


def test_failing_listener_does_not_affect_others(caplog):
    bus, received = EventBus(), []
    bus.listen(Ping, received.append)
    bus.listen(Ping, lambda event: 1 / 0)
    bus.listen(Ping, received.append)
    bus.publish(Ping(7))
    assert received == [Ping(7), Ping(7)]
    assert bus.listener_failures == 1


def test_unreferenced_lambda_keeps_listening():
    bus, received = EventBus(), []
    assert not bus.has_listeners(Ping)
    unsubscribe = bus.listen(Ping, lambda event: received.append(event.n))
    assert bus.has_listeners(Ping)
    bus.publish(Ping(1))
    unsubscribe()
    assert not bus.has_listeners(Ping)
    bus.publish(Ping(2))
    assert received == [1]


class LoudPing(Ping, frozen=True):
    pass


def test_listener_receives_no_subclass_events():
    bus, received = EventBus(), []
    bus.listen(Ping, received.append)
    bus.publish(LoudPing(1))
    bus.publish(Ping(2))
    assert received == [Ping(2)]


def test_listener_may_unsubscribe_while_called():
    bus, received = EventBus(), []

    def once(event):
        received.append(event)
        unsubscribe()

    unsubscribe = bus.listen(Ping, once)
    bus.publish(Ping(1))
    bus.publish(Ping(2))
    assert received == [Ping(1)]
    assert bus.listener_failures == 0


def test_double_registration_is_two_subscriptions():
    bus, received = EventBus(), []
    unsubscribe = bus.listen(Ping, received.append)
    bus.listen(Ping, received.append)
    bus.publish(Ping(1))
    unsubscribe()
    unsubscribe()
    bus.publish(Ping(2))
    assert received == [Ping(1), Ping(1), Ping(2)]


def test_bus_keeps_no_events_nor_removed_listeners():
    bus = EventBus()
    for n in range(100):
        unsubscribe = bus.listen(Ping, lambda event: None)
        bus.publish(Ping(n))
        unsubscribe()
    (signal,) = bus._signals.values()
    assert len(signal.receivers) == 0
    assert sum(map(len, signal._by_sender.values())) + len(signal._by_receiver) == 0
    assert len(signal._by_sender) <= 1


async def test_failing_listener_does_not_affect_the_actor():
    async with RunningSystem() as system:
        system.events.listen(ActorFailed, lambda event: 1 / 0)
        counter = system.spawn_named("counter", Counter, 4)
        counter.tell(Fail())
        assert await counter.ask(Get(), timeout=5) == 4
        assert system.statistics().listener_failures == 1


async def test_dead_letter_listener_may_tell_an_actor():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter)
        counter.stop()
        await counter.wait_stopped()
        system.events.listen(DeadLetter, lambda letter: probe.context.self_ref.tell(letter.message))
        counter.tell(Ping(5))
        assert await probe.expect(Ping) == Ping(5)


async def test_bus_carries_crash_restart_and_end():
    received = []
    async with RunningSystem() as system:
        for event_type in (ActorFailed, ActorRestarted, ActorEnded):
            system.events.listen(event_type, received.append)
        counter = system.spawn_named("counter", Counter)
        counter.tell(Fail())
        await settle(system)
        counter.stop()
        await counter.wait_stopped()
    assert [type(event) for event in received] == [ActorFailed, ActorRestarted, ActorEnded]
    assert {event.path for event in received} == {"/counter"}
    assert received[-1].reason == StopReason(Cause.STOPPED)


class Noted(msgspec.Struct, frozen=True):
    n: int


class Listener(Actor):
    mailbox_capacity = 3

    def __init__(self, received):
        self.received = received

    async def on_start(self):
        self.context.listen(Noted)
        self.context.listen(Noted)

    @handles
    def on_noted(self, event: Noted) -> None:
        if event.n < 0:
            raise ValueError("asked to crash")
        self.received.append(event.n)


class RestartingListener(Listener):
    supervision = Restart()


async def test_actor_gets_each_event_once_after_a_restart():
    async with RunningSystem() as system:
        received = []
        system.spawn_named("listener", RestartingListener, received)
        await settle(system)
        for n in (1, 2, -1):
            system.events.publish(Noted(n))
            await settle(system)
        await anyio.sleep(1)
        system.events.publish(Noted(3))
        await settle(system)
        assert received == [1, 2, 3]


async def test_event_for_a_full_mailbox_is_a_dead_letter():
    async with RunningSystem() as system:
        received = []
        system.spawn_named("listener", Listener, received)
        await settle(system)
        for n in range(5):
            system.events.publish(Noted(n))
        await settle(system)
        assert received == [0, 1, 2]
        assert system.statistics().dead_letters == {Undelivered.FULL: 2}


async def test_dead_letter_event_makes_no_dead_letter():
    """An actor that listens to dead letters and has a full mailbox makes no more of them."""

    class DeadLetterListener(Listener):
        async def on_start(self):
            self.context.listen(DeadLetter)

        @handles
        def on_letter(self, letter: DeadLetter) -> None:
            self.received.append(letter.path)

    async with RunningSystem() as system:
        received = []
        ended = system.spawn_named("ended", Listener, [])
        system.spawn_named("listener", DeadLetterListener, received)
        ended.stop()
        await settle(system)
        for n in range(5):
            ended.tell(Noted(n))
        await settle(system)
        assert received == ["/ended"] * 3
        assert system.statistics().dead_letters == {Undelivered.STOPPED: 5}


async def test_ended_actor_stops_listening():
    async with RunningSystem() as system:
        listener = system.spawn_named("listener", Listener, [])
        await settle(system)
        assert system.events.has_listeners(Noted)
        listener.stop()
        await listener.wait_stopped()
        assert not system.events.has_listeners(Noted)
