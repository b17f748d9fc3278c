import anyio
import anyio.lowlevel
import pytest

from chat_actors.kernel import Actor, ActorStopped, DeadLetter, Restart, Stop, Terminated, Undelivered, handles
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Get, collect, start_probe

pytestmark = pytest.mark.anyio


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


class Batching(Counter):
    """Notes each batch. Fails on a batch that holds an `Add(666)`; takes 1 s for one with an `Add(1)`."""

    supervision = Stop()

    def __init__(self):
        super().__init__()
        self.batches = []

    async def on_batch(self, messages):
        self.batches.append([message.amount for message in messages])
        if 666 in self.batches[-1]:
            raise ValueError("a bad batch")
        if 1 in self.batches[-1]:
            await anyio.sleep(1)
        self.count += sum(self.batches[-1])


async def test_a_batch_is_everything_that_waits():
    async with RunningSystem() as system:
        actor = Batching()
        ref = system.spawn_named("batching", lambda: actor)
        for n in (1, 2):
            ref.tell(Add(n))
        await anyio.sleep(0.5)
        for n in (3, 4, 5):
            ref.tell(Add(n))
        await settle(system)
        assert actor.batches == [[1, 2], [3, 4, 5]]


async def test_a_request_splits_a_batch_at_its_place_in_the_order():
    async with RunningSystem() as system:
        actor = Batching()
        ref = system.spawn_named("batching", lambda: actor)
        answers = []

        async def ask():
            answers.append(await ref.ask(Get(), timeout=5))

        ref.tell(Add(1))
        await anyio.sleep(0.5)
        ref.tell(Add(2))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            ref.tell(Add(4))
        await settle(system)
        assert actor.batches == [[1], [2], [4]]
        assert answers == [3]


async def test_a_notice_splits_a_batch_at_its_place_in_the_order():
    class Watching(Batching):
        @handles
        def ended(self, message: Terminated) -> None:
            self.batches.append("ended")

    async with RunningSystem() as system:
        actor = Watching()
        ref = system.spawn_named("watching", lambda: actor)
        other = system.spawn_named("other", Counter)
        await settle(system)
        actor.context.watch(other)
        ref.tell(Add(1))
        await anyio.sleep(0.5)
        ref.tell(Add(2))
        other.stop()
        await other.wait_stopped()
        ref.tell(Add(3))
        await settle(system)
        assert actor.batches == [[1], [2], "ended", [3]]


async def test_a_batch_holds_no_more_than_the_mailbox_although_senders_wait():
    class Small(Batching):
        mailbox_capacity = 2

    async with RunningSystem() as system:
        actor = Small()
        ref = system.spawn_named("small", lambda: actor)
        async with anyio.create_task_group() as tasks:
            for n in range(10, 16):
                tasks.start_soon(ref.send, Add(n))
        await settle(system)
        assert max(map(len, actor.batches)) == 2
        assert sorted(n for batch in actor.batches for n in batch) == list(range(10, 16))


async def test_a_batch_that_crashes_counts_as_a_whole_and_the_request_behind_it_fails():
    last_words = []

    class Talkative(Batching):
        def on_failure(self, message, error):
            last_words.append((message, str(error)))

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        ref = system.spawn_named("talkative", Talkative)
        ref.tell(Add(2))
        ref.tell(Add(666))
        with pytest.raises(ActorStopped):
            await ref.ask(Get(), timeout=5)
        assert last_words == [(Add(2), "a bad batch"), (Add(666), "a bad batch")]
        assert [(letter.message, letter.why) for letter in letters] == [
            (Add(2), Undelivered.CRASHED),
            (Add(666), Undelivered.CRASHED),
            (Get(), Undelivered.STOPPED),
        ]


async def test_what_ended_a_batch_is_handled_next_although_the_actor_crashed_and_was_restarted():
    class Tough(Batching):
        supervision = Restart()

    async with RunningSystem() as system:
        ref = system.spawn_named("tough", Tough)
        ref.tell(Add(666))
        assert await ref.ask(Get(), timeout=5) == 0


async def test_a_message_nobody_handles_is_a_dead_letter():
    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        counter = system.spawn_named("counter", Counter)
        counter.tell("what?")
        assert await counter.ask(Get(), timeout=1) == 0
        assert letters == [DeadLetter("/counter", "what?", Undelivered.UNHANDLED)]


async def test_an_actor_may_deal_with_what_no_handler_takes():
    class Open(Counter):
        def on_unhandled(self, message):
            self.count += 100
            return True

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        ref = system.spawn_named("open", Open)
        ref.tell("what?")
        assert await ref.ask(Get(), timeout=1) == 100
        assert letters == []


async def test_raising_in_on_unhandled_is_a_crash_of_that_actor_and_of_nobody_else():
    class Touchy(Counter):
        def on_unhandled(self, message):
            raise ValueError("what is this?")

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        touchy = system.spawn_named("touchy", Touchy, 3)
        touchy.tell("what?")
        assert await touchy.ask(Get(), timeout=5) == 3
        assert letters == [DeadLetter("/touchy", "what?", Undelivered.CRASHED)]


async def test_order_holds_across_the_two_lanes():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        other = system.spawn_named("other", Counter)
        probe.context.watch(other)
        ref = probe.context.self_ref
        ref.tell(1)
        other.stop()
        await other.wait_stopped()
        ref.tell(2)
        await settle(system)
        assert [type(message) for message in probe.received] == [int, Terminated, int]


async def test_a_message_in_the_middle_of_which_the_actor_is_cancelled_is_a_dead_letter_and_so_is_a_batch():
    class Stuck(Counter):
        @handles
        async def add(self, message: Add) -> None:
            await anyio.sleep_forever()

    async with RunningSystem() as system:
        letters = collect(system, DeadLetter)
        system.spawn_named("stuck", Stuck).tell(Add(5))
        batching = system.spawn_named("batching", Batching)
        batching.tell(Add(1))
        batching.tell(Add(2))
        await anyio.sleep(0.5)
        await system.stop(within=0)
        assert {(letter.message.amount, letter.why) for letter in letters} == {
            (5, Undelivered.CANCELLED),
            (1, Undelivered.CANCELLED),
            (2, Undelivered.CANCELLED),
        }


async def test_handlers_of_one_actor_never_run_at_the_same_time():
    running, most = [], []

    class Slow(Counter):
        @handles
        async def add(self, message: Add) -> None:
            running.append(1)
            most.append(len(running))
            await anyio.sleep(1)
            running.pop()

    async with RunningSystem(stop_within=60) as system:
        slow = system.spawn_named("slow", Slow)
        for _ in range(5):
            slow.tell(Add())
        await settle(system)
        assert most == [1] * 5
