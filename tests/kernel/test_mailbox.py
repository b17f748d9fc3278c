import contextlib

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_actors.kernel import ActorStopped, MailboxFull
from chat_actors.kernel.mailbox import Mailbox
from chat_actors.kernel.messages import Notice
from chat_actors.kernel.testing import virtual_asyncio, virtual_trio

pytestmark = pytest.mark.anyio


async def test_mailbox_refuses_more_than_its_capacity():
    mailbox = Mailbox("/a", 2)
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    with pytest.raises(MailboxFull) as caught:
        mailbox.put_nowait(3)
    assert (caught.value.path, caught.value.capacity) == ("/a", 2)
    assert len(mailbox) == 2
    mailbox.close()


async def test_system_lane_is_never_full_and_keeps_order():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait("user")
    assert all(mailbox.put_system(Notice(n)) for n in range(100))
    assert mailbox.take_nowait() == "user"
    mailbox.put_nowait("later")
    assert [mailbox.take_nowait().message for _ in range(100)] == list(range(100))
    assert mailbox.take_nowait() == "later"
    mailbox.close()


async def test_waiting_senders_are_served_in_order():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait(0)
    async with anyio.create_task_group() as tasks:
        for n in (1, 2, 3):
            tasks.start_soon(mailbox.put, n)
            await anyio.wait_all_tasks_blocked()
        assert mailbox.take_nowait() == 0
        with pytest.raises(MailboxFull):
            mailbox.put_nowait("barger")
        assert [mailbox.take_nowait() for _ in range(3)] == [1, 2, 3]
    mailbox.close()


async def test_cancelled_sender_leaves_no_message():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait(0)
    with anyio.move_on_after(1):
        await mailbox.put("never")
    assert mailbox.take_nowait() == 0
    with pytest.raises(anyio.WouldBlock):
        mailbox.take_nowait()
    mailbox.close()


async def test_close_returns_messages_and_refuses_senders():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait("left")
    refused = []

    async def send():
        with pytest.raises(ActorStopped):
            await mailbox.put("waiting")
        refused.append(True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert mailbox.close() == ["left"]
    assert refused == [True]
    with pytest.raises(ActorStopped):
        mailbox.put_nowait("late")
    assert not mailbox.put_system(Notice("late"))
    assert mailbox.close() == []


@pytest.mark.parametrize("capacity", [0, -1])
def test_capacity_below_one_is_refused(capacity):
    with pytest.raises(ValueError, match="at least 1"):
        Mailbox("/a", capacity)


async def test_system_lane_take_frees_no_slot():
    mailbox = Mailbox("/a", 1)
    mailbox.put_system(Notice("system"))
    mailbox.put_nowait("user")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mailbox.put, "waiting")
        await anyio.wait_all_tasks_blocked()
        assert len(mailbox) == 3
        mailbox.take_nowait()
        with pytest.raises(MailboxFull):
            mailbox.put_nowait("barger")
        assert [mailbox.take_nowait(), mailbox.take_nowait()] == ["user", "waiting"]
    mailbox.close()


async def test_put_does_not_yield_if_a_slot_is_free():
    mailbox = Mailbox("/a", 1)
    others = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.lowlevel.checkpoint)
        tasks.start_soon(lambda: _append(others))
        await mailbox.put(1)
        assert others == []
    mailbox.close()


async def _append(others):
    others.append(1)


async def test_sender_cancelled_as_queued_is_queued_once():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait(0)
    scope = anyio.CancelScope()

    async def send():
        with scope:
            await mailbox.put(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert mailbox.take_nowait() == 0
        scope.cancel()
    assert mailbox.take_nowait() == 1
    assert len(mailbox) == 0
    mailbox.close()


async def test_wait_returns_on_message_and_on_close():
    mailbox = Mailbox("/a", 1)
    results = []

    async def take_all():
        while not mailbox.is_closed:
            results.append(await mailbox.wait())
            with contextlib.suppress(anyio.WouldBlock, ActorStopped, anyio.ClosedResourceError):
                results.append(mailbox.take_nowait())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_all)
        await anyio.wait_all_tasks_blocked()
        mailbox.put_nowait(1)
        await anyio.wait_all_tasks_blocked()
        mailbox.close()
    assert results == [True, 1, True]


async def test_wait_returns_at_once_if_a_message_waits():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait(1)
    assert not await mailbox.wait()
    assert mailbox.take_nowait() == 1
    mailbox.close()
    assert not await mailbox.wait()


async def test_cancelled_wait_loses_no_message():
    mailbox = Mailbox("/a", 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(mailbox.wait)
        await anyio.wait_all_tasks_blocked()
        mailbox.put_nowait(1)
        tasks.cancel_scope.cancel()
    assert mailbox.take_nowait() == 1
    mailbox.close()


class Model:
    """A mailbox: a list, a bound on the user lane's part of it, and the waiting senders."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.queue = []
        self.senders = []  # numbers of waiting senders
        self.cancelled = set()  # the cancelled ones, some of which have not run since
        self.outcomes = {}
        self.is_closed = False

    @property
    def has_free_slot(self):
        return sum(not isinstance(item, Notice) for item in self.queue) < self.capacity

    def take(self):
        item = self.queue.pop(0)
        while self.senders and self.has_free_slot:
            sender = self.senders.pop(0)
            self.queue.append(sender)
            self.outcomes[sender] = "cancelled" if sender in self.cancelled else "queued"
        return item

    def settle(self):
        for sender in self.cancelled.intersection(self.senders):
            self.senders.remove(sender)
            self.outcomes[sender] = "cancelled"

    def close(self):
        for sender in self.senders:
            self.outcomes[sender] = "cancelled" if sender in self.cancelled else "stopped"
        self.senders = []
        self.is_closed = True
        left, self.queue = self.queue, []
        return left


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["put_nowait", "put", "put", "put_system", "take", "take", "settle"]),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.sampled_from(["close"] + ["take"] * 9),
    ),
    max_size=40,
)


@pytest.mark.parametrize("backend", [virtual_asyncio, virtual_trio])
@given(capacity=st.integers(1, 3), steps=STEPS)
@settings(deadline=None)
def test_mailbox_agrees_with_a_model(backend, capacity, steps):
    name, options = backend()
    anyio.run(_run_against_the_model, capacity, steps, backend=name, backend_options=options)


async def _run_against_the_model(capacity, steps):
    mailbox, model = Mailbox("/a", capacity), Model(capacity)
    scopes, outcomes = {}, {}

    async def send(n):
        with scopes[n]:
            try:
                await mailbox.put(n)
                outcomes[n] = "queued"
            except ActorStopped:
                outcomes[n] = "stopped"
            return
        outcomes[n] = "cancelled"

    async def settle():
        model.settle()
        await anyio.wait_all_tasks_blocked()

    async with anyio.create_task_group() as tasks:
        for n, step in enumerate(steps):
            match step:
                case "put_nowait" if model.is_closed:
                    with pytest.raises(ActorStopped):
                        mailbox.put_nowait(n)
                case "put_nowait" if not model.has_free_slot:
                    with pytest.raises(MailboxFull):
                        mailbox.put_nowait(n)
                case "put_nowait":
                    mailbox.put_nowait(n)
                    model.queue.append(n)
                case "put":
                    scopes[n] = anyio.CancelScope()
                    tasks.start_soon(send, n)
                    await settle()
                    if model.is_closed:
                        model.outcomes[n] = "stopped"
                    elif model.has_free_slot:
                        model.queue.append(n)
                        model.outcomes[n] = "queued"
                    else:
                        model.senders.append(n)
                case "put_system":
                    assert mailbox.put_system(Notice(n)) is not model.is_closed
                    if not model.is_closed:
                        model.queue.append(Notice(n))
                case "take" if model.queue:
                    assert mailbox.take_nowait() == model.take()
                case "take" if not model.is_closed:
                    with pytest.raises(anyio.WouldBlock):
                        mailbox.take_nowait()
                case ("cancel", which) if which < len(model.senders):
                    model.cancelled.add(model.senders[which])
                    scopes[model.senders[which]].cancel()
                case "settle":
                    await settle()
                case "close":
                    assert mailbox.close() == model.close()
            assert len(mailbox) == len(model.queue) + len(model.senders)
        await settle()
        assert mailbox.close() == model.close()
    assert outcomes == model.outcomes
