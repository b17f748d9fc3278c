"""Requests whose asker does not wait, answers that come later, and places that are held meanwhile."""

import anyio
import msgspec
import pytest

from chat_actors.kernel import Actor, ActorFailed, ActorStopped, AskFailed, MailboxFull, Request, Restart, handles
from chat_actors.kernel.testing import Probe, RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Fail, Get, collect, start_probe

pytestmark = pytest.mark.anyio


class Told(msgspec.Struct, frozen=True):
    what: object


class Owe(Request[int], msgspec.Struct, frozen=True):
    pass


class Pay(msgspec.Struct, frozen=True):
    amount: int


class Crash(msgspec.Struct, frozen=True):
    pass


class Debtor(Actor[Owe | Pay | Crash]):
    """Answers all that have asked, the one who asked first with the amount, the next with one more."""

    supervision = Restart(backoff=(0.1, 1.0))

    def __init__(self, owed):
        self.owed = owed

    @handles
    def owe(self, request: Owe) -> int:
        self.owed.append(self.context.answer_later())
        return -1

    @handles
    def pay(self, message: Pay) -> None:
        for n, owed in enumerate(self.owed):
            owed.resolve(message.amount + n)
            owed.fail(ValueError("too late"))
        self.owed.clear()

    @handles
    def crash(self, message: Crash) -> None:
        raise ValueError("asked to crash")


async def told_of(probe, ref, request):
    probe.context.ask_into(ref, request, into=Told, failed=Told)
    return (await probe.expect(Told, within=5)).what


async def test_ask_into_tells_the_answer():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", lambda: Counter(7))
        assert await told_of(probe, counter, Get()) == 7


async def test_ask_into_tells_a_crash():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", Counter)
        assert isinstance(await told_of(probe, counter, Fail()), AskFailed)


async def test_ask_into_tells_the_end_of_the_asked_actor():
    async with RunningSystem() as system:
        probe = await start_probe(system)
        debtor = system.spawn_named("debtor", Debtor, [])
        probe.context.ask_into(debtor, Owe(), into=Told, failed=Told)
        debtor.stop()
        assert isinstance((await probe.expect(Told, within=5)).what, ActorStopped)
        with pytest.raises(ActorStopped):
            probe.context.ask_into(debtor, Owe(), into=Told, failed=Told)


async def test_ask_into_answer_enters_a_full_mailbox():
    class Busy(Probe):
        mailbox_capacity = 1

    async with RunningSystem() as system:
        probe = Busy()
        ref = system.spawn_named("probe", lambda: probe)
        owed = []
        debtor = system.spawn_named("debtor", Debtor, owed)
        await settle(system)
        probe.context.ask_into(debtor, Owe(), into=Told, failed=Told)
        await settle(system)
        ref.send_nowait(Told("in the way"))
        with pytest.raises(MailboxFull):
            ref.send_nowait(Told("no room"))
        owed[0].resolve(3)
        assert await probe.expect(Told, within=5) == Told("in the way")
        assert await probe.expect(Told, within=5) == Told(3)


async def test_ask_into_tells_what_into_raises():
    def refuse(value):
        raise ValueError(f"not {value}")

    async with RunningSystem() as system:
        probe = await start_probe(system)
        counter = system.spawn_named("counter", lambda: Counter(7))
        probe.context.ask_into(counter, Get(), into=refuse, failed=lambda error: Told(str(error)))
        assert await probe.expect(Told, within=5) == Told("not 7")


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
        debtor = system.spawn_named("debtor", Debtor, [])
        answers = {}

        async def ask(n):
            answers[n] = await debtor.ask(Owe(), timeout=5)

        async with anyio.create_task_group() as tasks:
            for n in range(3):
                tasks.start_soon(ask, n)
                await settle(system)
            assert answers == {}
            debtor.tell(Pay(10))
        assert answers == {0: 10, 1: 11, 2: 12}


async def test_owed_answer_outlives_a_restart():
    async with RunningSystem() as system:
        debtor = system.spawn_named("debtor", Debtor, [])
        probe = await start_probe(system)
        probe.context.ask_into(debtor, Owe(), into=Told, failed=Told)
        debtor.tell(Crash())
        debtor.tell(Pay(5))
        assert (await probe.expect(Told, within=5)).what == 5
        assert system.statistics().restarts == 1


async def test_owed_answer_fails_when_the_actor_ends():
    async with RunningSystem() as system:
        owed = []
        debtor = system.spawn_named("debtor", Debtor, owed)
        async with anyio.create_task_group() as tasks:

            async def ask():
                with pytest.raises(ActorStopped):
                    await debtor.ask(Owe(), timeout=60)

            tasks.start_soon(ask)
            await settle(system)
            debtor.stop()
        owed[0].resolve(1)


async def test_answer_later_to_a_told_message_is_dropped():
    async with RunningSystem() as system:
        debtor = system.spawn_named("debtor", Debtor, [])
        debtor.tell(Owe())
        debtor.tell(Pay(1))
        assert await told_of(await start_probe(system), system.spawn_named("counter", Counter), Get()) == 0
        assert system.statistics().failures == 0


async def test_answer_later_leaves_the_next_request_alone():
    class Both(Counter):
        def __init__(self):
            super().__init__()
            self.owed = []

        @handles
        def owe(self, request: Owe) -> None:
            self.owed.append(self.context.answer_later())

    async with RunningSystem() as system:
        both = system.spawn_named("both", Both)
        probe = await start_probe(system)
        probe.context.ask_into(both, Owe(), into=Told, failed=Told)
        assert await both.ask(Get(), timeout=1) == 0


class Piler(Actor[Add | Get]):
    """Piles up what it is told to add, and holds the places; a question empties the pile."""

    mailbox_capacity = 3

    def __init__(self):
        self.pile = []

    @handles
    def add(self, message: Add) -> None:
        self.pile.append(message.amount)
        self.context.reserve_slots(1)

    @handles
    def get(self, request: Get) -> int:
        total = sum(self.pile)
        self.context.release_slots(len(self.pile))
        self.pile.clear()
        return total


async def test_reserved_slots_count_towards_the_capacity():
    async with RunningSystem() as system:
        piler = system.spawn_named("piler", Piler)
        for _ in range(3):
            piler.send_nowait(Add())
        await settle(system)
        assert piler.waiting == 0
        with pytest.raises(MailboxFull):
            piler.send_nowait(Add())
        assert not piler.deliver_nowait(Add())


async def test_senders_wait_for_reserved_slots():
    async with RunningSystem() as system:
        piler = Piler()
        ref = system.spawn_named("piler", lambda: piler)
        for _ in range(3):
            ref.send_nowait(Add())
        await settle(system)
        async with anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(ref.send, Add(2))
            await settle(system)
            assert piler.pile == [1, 1, 1]
            piler.pile.clear()
            piler.context.release_slots(3)
            await settle(system)
            # One more than the capacity: it moved in when the actor had taken the third and not yet held its place.
            assert piler.pile == 4 * [2]
            piler.context.release_slots(3)
            await settle(system)
            assert piler.pile == 7 * [2]
            piler.context.release_slots(9)
        await settle(system)
        assert piler.pile == 9 * [2]


async def test_end_with_reserved_slots_releases_senders():
    async with RunningSystem() as system:
        piler = Piler()
        ref = system.spawn_named("piler", lambda: piler)
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
        piler.context.release_slots(3)
