import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_actors.kernel import ActorStopped, MailboxFull
from chat_actors.kernel.mailbox import Mailbox
from chat_actors.kernel.messages import Notice

pytestmark = pytest.mark.anyio


async def test_a_mailbox_refuses_more_than_its_capacity():
    mailbox = Mailbox("/a", 2)
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    with pytest.raises(MailboxFull) as caught:
        mailbox.put_nowait(3)
    assert (caught.value.path, caught.value.capacity) == ("/a", 2)
    assert len(mailbox) == 2
    mailbox.close()


async def test_the_system_lane_is_never_refused_and_keeps_its_place_in_the_order():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait("user")
    assert all(mailbox.put_system(Notice(n)) for n in range(100))
    assert mailbox.take_nowait() == "user"
    mailbox.put_nowait("later")
    assert [mailbox.take_nowait().message for _ in range(100)] == list(range(100))
    assert mailbox.take_nowait() == "later"
    mailbox.close()


async def test_waiting_senders_get_in_first_come_first_served_and_nobody_barges():
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


async def test_a_cancelled_sender_leaves_nothing_behind():
    mailbox = Mailbox("/a", 1)
    mailbox.put_nowait(0)
    with anyio.move_on_after(1):
        await mailbox.put("never")
    assert mailbox.take_nowait() == 0
    with pytest.raises(anyio.WouldBlock):
        mailbox.take_nowait()
    mailbox.close()


async def test_closing_returns_what_waited_and_refuses_waiting_and_later_senders():
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


@given(st.integers(1, 4), st.lists(st.sampled_from(["put", "system", "take"]), max_size=60))
def test_it_behaves_like_a_list_with_a_bound_on_the_user_lane(capacity, steps):
    async def run():
        mailbox, model = Mailbox("/a", capacity), []
        for n, step in enumerate(steps):
            users = sum(not isinstance(item, Notice) for item in model)
            match step:
                case "put" if users < capacity:
                    mailbox.put_nowait(n)
                    model.append(n)
                case "put":
                    with pytest.raises(MailboxFull):
                        mailbox.put_nowait(n)
                case "system":
                    mailbox.put_system(Notice(n))
                    model.append(Notice(n))
                case "take" if model:
                    assert mailbox.take_nowait() == model.pop(0)
                case "take":
                    with pytest.raises(anyio.WouldBlock):
                        mailbox.take_nowait()
            assert len(mailbox) == len(model)
        assert mailbox.close() == model

    anyio.run(run)
