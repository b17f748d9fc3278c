"""The fan-out, without actors: each member receives the messages between its join and its leave, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_actors.chat import QueueOutbox
from chat_actors.chat.fan_out import BLOCK_BYTES, FanOut
from chat_actors.chat.members import Member
from chat_actors.protocol import decode_message, encode, messages


class Session:
    """A stand-in for a session ref, which the fan-out only compares."""


def make_member(name):
    return Member(Session(), name, QueueOutbox(0))


def chat_message(content):
    return messages.ChatMessage("ann", "red", content, "2026-01-01T00:00:00.000Z", 1)


def summary(text):
    """A short form of a message: its content, "joined", or the user with + or -."""
    match decode_message(text):
        case messages.ChatMessage(content=content):
            return content
        case messages.Joined():
            return "joined"
        case messages.UserJoined(user_id=user_id):
            return f"+{user_id}"
        case messages.UserLeft(user_id=user_id):
            return f"-{user_id}"


def blocks_for(recipient):
    blocks = [[summary(text) for text in block.texts] for block in recipient.outbox._blocks]
    recipient.outbox._blocks.clear()
    return blocks


def received_by(recipient):
    return [text for block in blocks_for(recipient) for text in block]


def join(fan_out, member):
    return fan_out.join(member, messages.joined(member.user_id, "red"))


def fan_out_with(*names):
    fan_out = FanOut("red")
    clients = [make_member(name) for name in names]
    for each in clients:
        join(fan_out, each)
    fan_out.flush()
    for each in clients:
        blocks_for(each)
    return fan_out, clients


def test_joins_of_one_turn_share_a_block():
    fan_out, (ann,) = fan_out_with("ann")
    newcomers = [make_member(name) for name in "bcdef"]
    for each in newcomers:
        join(fan_out, each)
    fan_out.flush()
    assert blocks_for(ann) == [["+b", "+c", "+d", "+e", "+f"]]
    assert blocks_for(newcomers[0]) == [["joined"], ["+c", "+d", "+e", "+f"]]
    assert blocks_for(newcomers[-1]) == [["joined"]]


def test_join_and_leave_in_one_turn_limit_delivery():
    """A member receives only the messages between its join and its leave."""
    fan_out, (ann,) = fan_out_with("ann")
    bob = make_member("bob")
    fan_out.add(chat_message("before"))
    join(fan_out, bob)
    fan_out.add(chat_message("meanwhile"))
    assert fan_out.leave(bob.session) == "bob"
    fan_out.add(chat_message("after"))
    fan_out.flush()
    assert received_by(bob) == ["joined", "meanwhile"]
    assert received_by(ann) == ["before", "+bob", "meanwhile", "-bob", "after"]


def test_repeated_join_keeps_the_order():
    fan_out, (ann, ben) = fan_out_with("ann", "ben")
    fan_out.add(chat_message("before"))
    join(fan_out, ann)
    fan_out.add(chat_message("after"))
    fan_out.flush()
    assert received_by(ann) == ["before", "joined", "after"]
    assert received_by(ben) == ["before", "after"]


def test_second_connection_is_not_announced():
    """It receives the messages from its join on."""
    fan_out, (ann,) = fan_out_with("ann")
    second = make_member("ann")
    fan_out.add(chat_message("before"))
    assert not join(fan_out, second)
    fan_out.add(chat_message("after"))
    assert fan_out.leave(second.session) is None
    fan_out.flush()
    assert received_by(second) == ["joined", "after"]
    assert received_by(ann) == ["before", "after"]


def test_new_member_at_a_full_block_starts_at_its_join():
    """The new member receives neither earlier messages nor its own announcement."""
    fan_out, (ann,) = fan_out_with("ann")
    full = "x" * (BLOCK_BYTES - 150)
    fan_out.add(chat_message(full))
    bob = make_member("b" * 32)
    join(fan_out, bob)
    fan_out.flush()
    assert received_by(bob) == ["joined"]
    assert received_by(ann) == [full, "+" + "b" * 32]


def message_of(size):
    """A chat message of `size` bytes on the wire."""
    return chat_message("x" * (size - len(encode(chat_message("")))))


@pytest.mark.parametrize("flushed", [False, True])
def test_block_holds_exactly_its_bound(flushed):
    """This holds for the first block of a room and for a block after a flush."""
    fan_out, ann = FanOut("red"), make_member("ann")
    fan_out.members.add(ann)
    if flushed:
        fan_out.add(chat_message("before"))
        fan_out.flush()
        blocks_for(ann)
    for size in (BLOCK_BYTES - 1000, 1000, 200):
        fan_out.add(message_of(size))
    fan_out.flush()
    assert [block.size for block in ann.outbox._blocks] == [BLOCK_BYTES, 200]


def test_announcement_counts_against_the_bound():
    fan_out, (ann,) = fan_out_with("ann")
    announcement = len(encode(messages.user_joined("ben", "red")))
    fan_out.add(message_of(BLOCK_BYTES - announcement + 1))
    join(fan_out, make_member("ben"))
    fan_out.add(message_of(BLOCK_BYTES - announcement))
    fan_out.flush()
    assert [block.size for block in ann.outbox._blocks] == [BLOCK_BYTES - announcement + 1, BLOCK_BYTES]


def test_larger_message_is_a_block_of_its_own():
    fan_out, (ann,) = fan_out_with("ann")
    for size in (200, BLOCK_BYTES + 1, 200):
        fan_out.add(message_of(size))
    fan_out.flush()
    assert [block.size for block in ann.outbox._blocks] == [200, BLOCK_BYTES + 1, 200]


def test_flush_without_messages_offers_no_block():
    fan_out, (ann, ben) = fan_out_with("ann", "ben")
    fan_out.flush()
    assert blocks_for(ann) == []
    fan_out.leave(ben.session)
    join(fan_out, ben)
    assert blocks_for(ben) == [["joined"]]


def test_rejoin_at_a_full_block_repeats_no_message():
    fan_out, (ann, ben) = fan_out_with("ann", "ben")
    full = message_of(BLOCK_BYTES)
    fan_out.add(full)
    join(fan_out, ann)
    fan_out.flush()
    assert blocks_for(ann) == [[full.content], ["joined"]]
    assert received_by(ben) == [full.content]


def test_leave_of_an_unknown_session_does_nothing():
    fan_out, (ann,) = fan_out_with("ann")
    assert fan_out.leave(make_member("ann").session) is None
    fan_out.flush()
    assert blocks_for(ann) == []
    assert fan_out.members.users == ["ann"]


def test_rejoin_with_a_replay_replaces_the_outbox():
    """Each outbox receives the messages of its time, and the user is not announced again."""
    fan_out, (ann, ben) = fan_out_with("ann", "ben")
    again = Member(ann.session, "ann", QueueOutbox(0))
    fan_out.add(chat_message("before"))
    assert not fan_out.join(again, None)
    fan_out.add(chat_message("after"))
    fan_out.flush()
    assert (received_by(ann), received_by(again), received_by(ben)) == (["before"], ["after"], ["before", "after"])


@pytest.mark.parametrize("turn", [1, 3, 1000])
@given(steps=st.lists(st.tuples(st.sampled_from(["join", "leave", "say"]), st.integers(0, 4)), max_size=40))
def test_delivery_does_not_depend_on_the_turns(turn, steps):
    fan_out, clients, expected = FanOut("red"), [make_member(str(n)) for n in range(5)], [[] for _ in range(5)]
    members = []

    def expect(text, exclude=None):
        for n in members:
            if n != exclude:
                expected[n].append(text)

    for at, (step, index) in enumerate(steps):
        match step:
            case "join":
                join(fan_out, clients[index])
                if index not in members:
                    members.append(index)
                    expect(f"+{index}", exclude=index)
                expected[index].append("joined")
            case "leave" if index in members:
                fan_out.leave(clients[index].session)
                members.remove(index)
                expect(f"-{index}")
            case "say":
                fan_out.add(chat_message(str(at)))
                expect(str(at))
        if at % turn == 0:
            fan_out.flush()
    fan_out.flush()
    assert [received_by(each) for each in clients] == expected
