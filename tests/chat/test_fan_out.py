"""Who hears what of a turn, by itself: without actors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_actors.chat import QueueOutbox
from chat_actors.chat.fan_out import BLOCK_BYTES, FanOut
from chat_actors.chat.members import Member
from chat_actors.protocol import decode_message, messages


class Session:
    """In the place of a session's ref, which a fan-out only compares."""


def member(name):
    return Member(Session(), name, QueueOutbox(0))


def said(content):
    return messages.ChatMessage("ann", "red", content, "2026-01-01T00:00:00.000Z", 1)


def plain(text):
    match decode_message(text):
        case messages.ChatMessage(content=content):
            return content
        case messages.Joined():
            return "joined"
        case messages.UserJoined(user_id=user_id):
            return f"+{user_id}"
        case messages.UserLeft(user_id=user_id):
            return f"-{user_id}"


def blocks_for(one):
    blocks = [[plain(text) for text in block.texts] for block in one.outbox._blocks]
    one.outbox._blocks.clear()
    return blocks


def heard_by(one):
    return [text for block in blocks_for(one) for text in block]


def enter(fan_out, one):
    return fan_out.join(one, messages.joined(one.user_id, "red"))


def fan_out_with(*names):
    fan_out = FanOut("red")
    people = [member(name) for name in names]
    for one in people:
        enter(fan_out, one)
    fan_out.flush()
    for one in people:
        blocks_for(one)
    return fan_out, people


def test_many_joins_in_one_turn_are_one_block_for_each_who_was_there():
    fan_out, (ann,) = fan_out_with("ann")
    newcomers = [member(name) for name in "bcdef"]
    for one in newcomers:
        enter(fan_out, one)
    fan_out.flush()
    assert blocks_for(ann) == [["+b", "+c", "+d", "+e", "+f"]]
    assert blocks_for(newcomers[0]) == [["joined"], ["+c", "+d", "+e", "+f"]]
    assert blocks_for(newcomers[-1]) == [["joined"]]


def test_who_comes_and_goes_in_one_turn_hears_what_was_said_meanwhile():
    fan_out, (ann,) = fan_out_with("ann")
    bob = member("bob")
    fan_out.add(said("before"))
    enter(fan_out, bob)
    fan_out.add(said("meanwhile"))
    assert fan_out.leave(bob.session) == "bob"
    fan_out.add(said("after"))
    fan_out.flush()
    assert heard_by(bob) == ["joined", "meanwhile"]
    assert heard_by(ann) == ["before", "+bob", "meanwhile", "-bob", "after"]


def test_who_joins_the_room_that_they_are_in_keeps_the_order():
    fan_out, (ann, ben) = fan_out_with("ann", "ben")
    fan_out.add(said("before"))
    enter(fan_out, ann)
    fan_out.add(said("after"))
    fan_out.flush()
    assert heard_by(ann) == ["before", "joined", "after"]
    assert heard_by(ben) == ["before", "after"]


def test_a_second_connection_of_a_user_is_no_news_and_hears_from_then_on():
    fan_out, (ann,) = fan_out_with("ann")
    second = member("ann")
    fan_out.add(said("before"))
    assert not enter(fan_out, second)
    fan_out.add(said("after"))
    assert fan_out.leave(second.session) is None
    fan_out.flush()
    assert heard_by(second) == ["joined", "after"]
    assert heard_by(ann) == ["before", "after"]


def test_who_joins_when_the_block_is_full_hears_neither_what_was_before_nor_of_themselves():
    fan_out, (ann,) = fan_out_with("ann")
    full = "x" * (BLOCK_BYTES - 150)
    fan_out.add(said(full))
    bob = member("b" * 32)
    enter(fan_out, bob)
    fan_out.flush()
    assert heard_by(bob) == ["joined"]
    assert heard_by(ann) == [full, "+" + "b" * 32]


@pytest.mark.parametrize("turn", [1, 3, 1000])
@given(steps=st.lists(st.tuples(st.sampled_from(["enter", "leave", "say"]), st.integers(0, 4)), max_size=40))
def test_however_turns_are_cut_everybody_hears_the_same(turn, steps):
    fan_out, people, expected = FanOut("red"), [member(str(n)) for n in range(5)], [[] for _ in range(5)]
    here = []

    def everybody(text, but=None):
        for n in here:
            if n != but:
                expected[n].append(text)

    for at, (step, who) in enumerate(steps):
        match step:
            case "enter":
                enter(fan_out, people[who])
                if who not in here:
                    here.append(who)
                    everybody(f"+{who}", but=who)
                expected[who].append("joined")
            case "leave" if who in here:
                fan_out.leave(people[who].session)
                here.remove(who)
                everybody(f"-{who}")
            case "say":
                fan_out.add(said(str(at)))
                everybody(str(at))
        if at % turn == 0:
            fan_out.flush()
    fan_out.flush()
    assert [heard_by(one) for one in people] == expected
