"""Requests whose caller does not wait, answers given later, and reserved mailbox slots."""

import anyio
import msgspec
import pytest

from chat_actors.kernel import Actor, ActorFailed, ActorStopped, AskFailed, MailboxFull, Request, Restart, handles
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, collect, start_probe

pytestmark = pytest.mark.anyio


class Answered(msgspec.Struct, frozen=True):
    what: object


class AskLater(Request[int], msgspec.Struct, frozen=True):
    pass


class AnswerAll(msgspec.Struct, frozen=True):
    amount: int


class Crash(msgspec.Struct, frozen=True):
    pass


class LateAnswerer(Actor[AskLater | AnswerAll | Crash]):
    """Answers all owed requests at once: the first with the amount, the next with one more, and so on."""

    supervision = Restart(backoff=(0.1, 1.0))

    def __init__(self, owed):
        self.owed = owed

    @handles
    def owe(self, request: AskLater) -> int:
        self.owed.append(self.context.answer_later())
        return -1

    @handles
    def pay(self, message: AnswerAll) -> None:
        for n, owed in enumerate(self.owed):
            owed.resolve(message.amount + n)
            owed.fail(ValueError("too late"))
        self.owed.clear()

    @handles
    def crash(self, message: Crash) -> None:
        raise ValueError("asked to crash")


async def ask_into(probe, ref, request):
    probe.context.ask_into(ref, request, into=Answered, failed=Answered)
    return (await probe.expect(Answered, within=5)).what


async def test_ask_into_tells_the_answer():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", lambda: Counter(7))
        assert await ask_into(probe, counter, Get()) == 7


async def test_ask_into_tells_a_crash():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter)
        assert isinstance(await ask_into(probe, counter, Fail()), AskFailed)


async def test_ask_into_tells_the_end_of_the_asked_actor():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        answerer = system.spawn_named("answerer", LateAnswerer, [])
        probe.context.ask_into(answerer, AskLater(), into=Answered, failed=Answered)
        answerer.stop()
        assert isinstance((await probe.expect(Answered, within=5)).what, ActorStopped)
        with pytest.raises(ActorStopped):
            probe.context.ask_into(answerer, AskLater(), into=Answered, failed=Answered)


async def test_ask_into_answer_enters_a_full_mailbox():
    class Busy(Probe):
        mailbox_capacity = 1

    async with RunningSystem() as system:
        probe = Busy()
        ref = system.spawn_named("probe", lambda: probe)
        owed = []
        answerer = system.spawn_named("answerer", LateAnswerer, owed)
        await settle(system)
        probe.context.ask_into(answerer, AskLater(), into=Answered, failed=Answered)
        await settle(system)
        ref.send_nowait(Answered("in the way"))
        with pytest.raises(MailboxFull):
            ref.send_nowait(Answered("no room"))
        owed[0].resolve(3)
        assert await probe.expect(Answered, within=5) == Answered("in the way")
        assert await probe.expect(Answered, within=5) == Answered(3)


async def test_ask_into_tells_what_into_raises():
    def refuse(value):
        raise ValueError(f"not {value}")

    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", lambda: Counter(7))
        probe.context.ask_into(counter, Get(), into=refuse, failed=lambda error: Answered(str(error)))
        assert await probe.expect(Answered, within=5) == Answered("not 7")


async def test_ask_into_crash_in_failed_crashes_the_caller():
    def refuse(error):
        raise ValueError("not this either")

    async with RunningSystem() as system:
        failures = collect(system, ActorFailed)
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter)
        probe.context.ask_into(counter, Fail(), into=refuse, failed=refuse)
        await settle(system)
        assert ("/probe", "not this either") in [(failure.path, str(failure.error)) for failure in failures]


async def test_answer_later_answers_several_requests():
    async with RunningSystem() as system:
        answerer = system.spawn_named("answerer", LateAnswerer, [])
        answers = {}

        async def ask(n):
            answers[n] = await answerer.ask(AskLater(), timeout=5)

        async with anyio.create_task_group() as tasks:
            for n in range(3):
                tasks.start_soon(ask, n)
                await settle(system)
            assert answers == {}
            answerer.tell(AnswerAll(10))
        assert answers == {0: 10, 1: 11, 2: 12}


async def test_owed_answer_outlives_a_restart():
    async with RunningSystem() as system:
        answerer = system.spawn_named("answerer", LateAnswerer, [])
        probe = await start_probe(system)
        probe.context.ask_into(answerer, AskLater(), into=Answered, failed=Answered)
        answerer.tell(Crash())
        answerer.tell(AnswerAll(5))
        assert (await probe.expect(Answered, within=5)).what == 5
        assert system.statistics().restarts == 1


async def test_owed_answer_fails_when_the_actor_ends():
    async with RunningSystem() as system:
        owed = []
        answerer = system.spawn_named("answerer", LateAnswerer, owed)
        async with anyio.create_task_group() as tasks:

            async def ask():
                with pytest.raises(ActorStopped):
                    await answerer.ask(AskLater(), timeout=60)

            tasks.start_soon(ask)
            await settle(system)
            answerer.stop()
        owed[0].resolve(1)


async def test_answer_later_to_a_told_message_is_dropped():
    async with RunningSystem() as system:
        answerer = system.spawn_named("answerer", LateAnswerer, [])
        answerer.tell(AskLater())
        answerer.tell(AnswerAll(1))
        assert await ask_into(await start_probe(system), system.spawn_named("counter", Counter), Get()) == 0
        assert system.statistics().failures == 0


async def test_answer_later_leaves_the_next_request_alone():
    class Both(Counter):
        def __init__(self):
            super().__init__()
            self.owed = []

        @handles
        def owe(self, request: AskLater) -> None:
            self.owed.append(self.context.answer_later())

    async with RunningSystem() as system:
        both = system.spawn_named("both", Both)
        probe = await start_probe(system)
        probe.context.ask_into(both, AskLater(), into=Answered, failed=Answered)
        assert await both.ask(Get(), timeout=1) == 0


class Reserver(Actor[Add | Get]):
    """Collects additions and reserves a slot for each; `Get` returns their sum and releases the slots."""

    mailbox_capacity = 3

    def __init__(self):
        self.unfinished = []

    @handles
    def add(self, message: Add) -> None:
        self.unfinished.append(message.amount)
        self.context.reserve_slots(1)

    @handles
    def get(self, request: Get) -> int:
        total = sum(self.unfinished)
        self.context.release_slots(len(self.unfinished))
        self.unfinished.clear()
        return total


async def test_reserved_slots_count_towards_the_capacity():
    async with RunningSystem() as system:
        reserver = system.spawn_named("reserver", Reserver)
        for _ in range(3):
            reserver.send_nowait(Add())
        await settle(system)
        assert reserver.waiting == 0
        with pytest.raises(MailboxFull):
            reserver.send_nowait(Add())
        assert not reserver.deliver_nowait(Add())


async def test_senders_wait_for_reserved_slots():
    async with RunningSystem() as system:
        reserver = Reserver()
        ref = system.spawn_named("reserver", lambda: reserver)
        for _ in range(3):
            ref.send_nowait(Add())
        await settle(system)
        async with anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(ref.send, Add(2))
            await settle(system)
            assert reserver.unfinished == [1, 1, 1]
            reserver.unfinished.clear()
            reserver.context.release_slots(3)
            await settle(system)
            # One more than the capacity: it was queued between the taking of the third and the reservation for it.
            assert reserver.unfinished == 4 * [2]
            reserver.context.release_slots(3)
            await settle(system)
            assert reserver.unfinished == 7 * [2]
            reserver.context.release_slots(9)
        await settle(system)
        assert reserver.unfinished == 9 * [2]


async def test_end_with_reserved_slots_releases_senders():
    async with RunningSystem() as system:
        reserver = Reserver()
        ref = system.spawn_named("reserver", lambda: reserver)
        for _ in range(3):
            ref.send_nowait(Add())
        await settle(system)
        async with anyio.create_task_group() as tasks:

            async def send():
                with pytest.raises(ActorStopped):
                    await ref.send(Add())

            tasks.start_soon(send)
            await settle(system)
            ref.stop()
        reserver.context.release_slots(3)
