"""`CommandQueue`: the order of commands, and what a lost connection does to it."""

import pytest

from chat_actors.client import TooMuchUnsent
from chat_actors.client.command_queue import CommandQueue
from chat_actors.protocol import ExtensionCommand, Leave, Post


class Roll(ExtensionCommand, frozen=True, tag="roll"):
    pass


def queue_of(*commands, maximum=10):
    queue = CommandQueue(maximum)
    for number, command in enumerate(commands):
        queue.add(f"id-{number}", command)
    return queue


def test_next_command_waits_for_the_answer():
    one, two = Post("one"), Post("two")
    queue = queue_of(one, two)
    assert (queue.head_id, queue.in_flight_id) == ("id-0", None)
    assert queue.take_unsent() is one
    assert queue.take_unsent() is None
    assert queue.in_flight_id == "id-0"
    assert queue.pop() == ("id-0", one)
    assert queue.in_flight_id is None
    assert queue.take_unsent() is two
    queue.pop()
    assert (queue.take_unsent(), queue.head_id, len(queue)) == (None, None, 0)


def test_command_in_flight_is_sent_again():
    queue = queue_of(Post("one"), Leave())
    first = queue.take_unsent()
    queue.mark_unsent()
    assert queue.take_unsent() is first


@pytest.mark.parametrize("is_sent", [True, False])
def test_clear_unsent_keeps_the_command_in_flight(is_sent):
    queue = queue_of(Post("one"), Post("two"))
    if is_sent:
        queue.take_unsent()
    assert queue.clear_unsent() == ["id-0", "id-1"][is_sent:]
    assert len(queue) == is_sent
    queue.clear()
    assert (len(queue), queue.in_flight_id) == (0, None)


def test_give_up_removes_what_is_not_repeated():
    roll, one = Roll(), Post("one")
    queue = queue_of(roll, one)
    assert queue.give_up(all_commands=True) is None  # not in flight
    queue.take_unsent()
    assert queue.give_up(all_commands=False) == ("id-0", roll)
    assert queue.take_unsent() is one
    assert queue.give_up(all_commands=False) is None
    assert queue.take_unsent() is one
    assert queue.give_up(all_commands=True) == ("id-1", one)


def test_cancel_skips_the_command_in_flight():
    queue = queue_of(Post("one"), Post("two"), Post("three"))
    queue.take_unsent()
    queue.cancel("id-0")
    queue.cancel("id-1")
    assert len(queue) == 2
    queue.pop()
    assert queue.head_id == "id-2"
    queue.cancel("id-2")
    assert len(queue) == 0


def test_extension_command_is_unrepeatable():
    queue = queue_of(Roll(), Post("one"))
    assert queue.unrepeatable_id is None
    queue.take_unsent()
    assert queue.unrepeatable_id == "id-0"
    queue.pop()
    queue.take_unsent()
    assert queue.unrepeatable_id is None


def test_queue_is_bounded_and_rejects_invalid_text():
    queue = queue_of(Leave(), maximum=2)
    with pytest.raises(ValueError, match="surrogates"):
        queue.add("id-1", Post("\ud800"))
    queue.add("id-1", Post("one"))
    with pytest.raises(TooMuchUnsent):
        queue.add("id-2", Post("two"))
    assert len(queue) == 2
