import anyio
import msgspec
import pytest

from chat_actors.kernel import (
    Actor,
    ActorStopped,
    AskFailed,
    AskTimeout,
    BadHandler,
    Cause,
    DeadLetter,
    Kind,
    MailboxFull,
    NameTaken,
    Terminated,
    Undelivered,
    UnknownKind,
    handles,
)
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get

pytestmark = pytest.mark.anyio


async def test_messages_are_handled_in_the_order_sent_and_a_request_is_answered():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter, start=5)
        assert counter.tell(Add(2))
        await counter.send(Add(3))
        counter.send_nowait(Add(4))
        assert await counter.ask(Get(), timeout=1) == 14


async def test_a_full_mailbox_refuses_tell_and_counts_a_dead_letter():
    class Tiny(Counter):
        mailbox_capacity = 1

    letters = []
    async with RunningSystem() as system:
        system.events.listen(DeadLetter, letters.append)
        tiny = system.spawn_named("tiny", Tiny)
        assert tiny.tell(Add())
        assert not tiny.tell(Add(7))
        with pytest.raises(MailboxFull):
            tiny.send_nowait(Add())
        assert letters == [DeadLetter("/tiny", Add(7), Undelivered.FULL)]
        assert system.statistics().dead_letters == {Undelivered.FULL: 1}
        await tiny.send(Add())
        assert await tiny.ask(Get(), timeout=1) == 2


async def test_an_ask_that_crashes_the_actor_fails_with_the_actors_own_error():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter)
        with pytest.raises(AskFailed) as caught:
            await counter.ask(Fail(), timeout=1)
        assert isinstance(caught.value.__cause__, ValueError)


async def test_an_ask_without_a_handler_fails_at_once_and_harms_nobody():
    class Deaf(Actor[Get]):
        pass

    async with RunningSystem() as system:
        deaf = system.spawn_named("deaf", Deaf)
        with pytest.raises(AskFailed):
            await deaf.ask(Get(), timeout=1)
        assert not deaf.is_stopped


async def test_an_ask_that_is_not_answered_in_time_says_so():
    class Slow(Actor[Get]):
        @handles
        async def get(self, message: Get) -> int:
            await anyio.sleep(100)
            return 1

    async with RunningSystem(stop_within=1) as system:
        slow = system.spawn_named("slow", Slow)
        with pytest.raises(AskTimeout):
            await slow.ask(Get(), timeout=5)


async def test_an_ask_still_in_the_mailbox_fails_when_the_actor_ends():
    async with RunningSystem() as system:
        counter = system.spawn_named("counter", Counter)
        counter.stop()
        with pytest.raises(ActorStopped):
            await counter.ask(Get(), timeout=1)


async def test_what_was_queued_before_a_stop_is_handled_and_what_comes_after_is_a_dead_letter():
    async with RunningSystem() as system:
        actor = Counter()
        counter = system.spawn_named("counter", lambda: actor)
        counter.tell(Add(1))
        counter.stop()
        counter.tell(Add(10))
        await counter.wait_stopped()
        assert actor.count == 1
        assert not counter.tell(Add(100))
        assert system.statistics().dead_letters == {Undelivered.STOPPED: 2}


async def test_a_watcher_is_told_once_also_when_the_actor_had_already_ended():
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


async def test_after_unwatch_nothing_comes_even_if_the_notice_is_waiting():
    class Fickle(Actor[Get]):
        def __init__(self, other):
            self.other = other
            self.told = 0

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
            self.told += 1

    async with RunningSystem() as system:
        fickle = Fickle(system.spawn_named("counter", Counter))
        ref = system.spawn_named("fickle", lambda: fickle)
        assert await ref.ask(Get(), timeout=5) == 1
        await settle(system)
        assert fickle.told == 0


class Rooms(Actor[Get]):
    kind = Kind("room")

    def __init__(self, made):
        self.made = made

    async def on_start(self):
        self.context.offer(self.kind, self.make)

    def make(self, key):
        self.made.append(key)
        return Lonely


class Lonely(Counter):
    @handles
    def add(self, message: Add) -> None:
        self.count += message.amount
        self.context.stop_if_idle()


async def test_get_or_spawn_never_makes_two_of_one_key():
    made = []
    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, made)
        await settle(system)
        refs = {system.get_or_spawn(Rooms.kind, "a") for _ in range(10)}
        assert len(refs) == 1
        assert made == ["a"]


async def test_an_idle_actor_that_stops_itself_loses_no_message_that_is_on_its_way():
    made = []
    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, made)
        await settle(system)
        handled = 0
        for burst in (1, 3, 1, 5):
            for _ in range(burst):
                while True:
                    room = system.get_or_spawn(Rooms.kind, "a")
                    try:
                        await room.send(Add())
                    except ActorStopped:
                        continue
                    break
                handled += 1
            await settle(system)
            assert room.is_stopped
        assert made == ["a"] * 4
        assert system.statistics().dead_letters == {}
        assert handled == 10


async def test_a_kind_that_nobody_offers_is_a_clear_error():
    async with RunningSystem() as system:
        with pytest.raises(UnknownKind, match="nowhere"):
            system.get_or_spawn(Kind("nowhere"), "x")


async def test_two_actors_of_one_name_are_refused():
    async with RunningSystem() as system:
        system.spawn_named("one", Counter)
        with pytest.raises(NameTaken, match="/one"):
            system.spawn_named("one", Counter)


async def test_a_batch_is_all_that_waits_and_a_request_keeps_its_place_in_it():
    class Batching(Counter):
        def __init__(self):
            super().__init__()
            self.batches = []

        async def on_batch(self, messages):
            self.batches.append([message.amount for message in messages])
            self.count += sum(self.batches[-1])

    async with RunningSystem() as system:
        actor = Batching()
        ref = system.spawn_named("batching", lambda: actor)
        for n in (1, 2):
            ref.tell(Add(n))
        async with anyio.create_task_group() as tasks:
            answers = []

            async def ask():
                answers.append(await ref.ask(Get(), timeout=1))

            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            ref.tell(Add(4))
        await settle(system)
        assert actor.count == 7
        assert answers == [3]
        assert [n for batch in actor.batches for n in batch] == [1, 2, 4]


async def test_piped_work_comes_back_as_a_message_and_so_does_its_failure():
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


async def test_a_busy_actor_gives_way_to_the_others():
    class Endless(Actor[Add]):
        @handles
        def again(self, message: Add) -> None:
            self.context.self_ref.tell(message)

    async with RunningSystem() as system:
        endless = system.spawn_named("endless", Endless)
        endless.tell(Add())
        counter = system.spawn_named("counter", Counter, start=3)
        assert await counter.ask(Get(), timeout=1) == 3


def test_a_handler_without_a_message_type_is_refused_when_the_actor_is_made():
    class Vague(Actor[Get]):
        @handles
        def get(self, message) -> int:
            return 1

    async def main():
        async with RunningSystem() as system:
            with pytest.raises(BadHandler, match=r"Vague\.get"):
                system.spawn_named("vague", Vague)

    anyio.run(main)


async def test_the_tree_shows_actors_under_their_parents():
    async with RunningSystem() as system:
        system.spawn_named("rooms", Rooms, [])
        await settle(system)
        system.get_or_spawn(Rooms.kind, "a")
        await settle(system)
        lines = [line for node in system.tree() for line in node.lines()]
        assert lines == ["rooms (Rooms)", "  room:a (Lonely)"]


async def test_a_stopped_actor_says_why():
    async with RunningSystem() as system:
        probe = Probe()
        system.spawn_named("probe", lambda: probe)
        counter = system.spawn_named("counter", Counter)
        await settle(system)
        probe.context.watch(counter)
        counter.stop()
        assert (await probe.expect(Terminated)).reason.cause is Cause.ASKED
