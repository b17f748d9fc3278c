"""Several rooms of a `Conversation`: each proceeds, falls behind, is refused and is removed on its own."""

import pytest

from chat_actors.client.conversation_events import (
    RequestAnswered,
    RequestLost,
    RequestRefused,
    RetryNeeded,
    RoomEnded,
    RoomResumed,
)
from chat_actors.protocol import ExtensionCommand, Join, Leave, ReadHistory, messages, refusals
from tests.client.written_server import (
    KICKED,
    RETRY_RED,
    chat_messages,
    feed,
    in_red,
    joined,
    log_in,
    new_conversation,
    received,
    rejoining_red,
    sent_by,
)


def test_rooms_proceed_on_their_own():
    """A room that waits for its join holds up no other."""
    conversation, red = in_red()
    blue = conversation.open_room("blue")
    (join,) = sent_by(conversation)
    assert (join.room_id, join.additional) == ("blue", True)
    red.post("to red")
    blue.post("to blue")
    assert [command.content for command in sent_by(conversation)] == ["to red"]
    assert feed(conversation, refusals.TOO_MANY_ROOMS.as_error(join.request_id)) == [RetryNeeded("blue")]
    assert feed(conversation, *chat_messages(6)) == received(6)
    conversation.retry("blue")
    (join,) = sent_by(conversation)
    feed(conversation, joined(join, 3))
    assert [(command.room_id, command.content) for command in sent_by(conversation)] == [("blue", "to blue")]


def test_open_room_cannot_be_opened_again():
    conversation, red = in_red()
    with pytest.raises(ValueError, match="'red' is open already"):
        conversation.open_room("red")
    red.close()
    again = conversation.open_room("red")
    leave, join = sent_by(conversation)
    assert (leave.room_id, join.room_id, join.since) == ("red", "red", None)
    # What comes before the answer to the join is about the earlier membership.
    assert feed(conversation, *chat_messages(6), messages.Left("red", request_id=leave.request_id), KICKED) == []
    assert feed(conversation, joined(join, 6))[0].request_id == again.join_id


def test_events_of_other_rooms_are_dropped():
    conversation, red = in_red()
    assert feed(conversation, *chat_messages(6, room_id="blue"), messages.user_joined("ben", "blue")) == []
    red.close()
    assert feed(conversation, *chat_messages(6), messages.user_joined("ben", "red")) == []


def test_messages_without_a_room_are_for_the_user():
    conversation, _ = in_red()
    for message in (messages.Pong("now"), messages.Error("Something is wrong.", "strange")):
        assert feed(conversation, message) == [message]


def test_error_of_another_room_is_ignored():
    conversation, red = in_red()
    assert feed(conversation, messages.Error("ann removed you.", "kicked", "blue")) == []
    assert red.is_in


def test_room_that_falls_behind_leaves_and_keeps_its_position():
    conversation, red = in_red()
    red.fall_behind()
    (leave,) = sent_by(conversation)
    assert (type(leave), leave.room_id) == (Leave, "red")
    assert feed(conversation, *chat_messages(6), messages.Left("red", request_id=leave.request_id)) == []
    conversation.disconnected()
    log_in(conversation)
    assert sent_by(conversation) == []  # nothing to do until the program has caught up
    red.caught_up()
    (join,) = sent_by(conversation)
    assert join.since == 5
    assert feed(conversation, joined(join, 6, 0), *chat_messages(6)) == [RoomResumed("red"), *received(6)]


def test_room_that_is_behind_joins_to_send():
    conversation, red = in_red()
    red.fall_behind()
    sent_by(conversation)
    wanted = red.post("while behind")
    (join,) = sent_by(conversation)
    assert join.since is None
    assert feed(conversation, joined(join, 9), *chat_messages(10)) == []
    (post,) = sent_by(conversation)
    accepted = messages.Accepted(post.client_msg_id, 11, "now", request_id=post.request_id)
    assert feed(conversation, accepted) == [RequestAnswered(wanted, accepted)]
    red.caught_up()
    (join,) = sent_by(conversation)
    assert join.since == 5
    assert feed(conversation, joined(join, 11, 0), *chat_messages(6, 11)) == received(6, 11)


def test_room_with_a_post_in_flight_falls_behind_without_leaving():
    conversation, red = in_red()
    red.post("in flight")
    sent_by(conversation)
    red.fall_behind()
    assert sent_by(conversation) == []
    assert feed(conversation, *chat_messages(6)) == []


class Roll(ExtensionCommand, frozen=True, tag="roll"):
    pass


@pytest.mark.parametrize("request_of", ["query", "tell"])
def test_room_that_is_behind_joins_for_requests(request_of):
    conversation, red = in_red()
    red.fall_behind()
    sent_by(conversation)
    if request_of == "query":
        red.query(lambda request_id: ReadHistory("red", request_id=request_id))
    else:
        assert not red.tell(Roll())
    assert [command.since for command in sent_by(conversation)] == [None]


def test_refused_leave_is_sent_again():
    conversation, red = in_red()
    red.close()
    (leave,) = sent_by(conversation)
    assert feed(conversation, refusals.TOO_MANY_FRAMES.as_error(leave.request_id)) == [RETRY_RED]
    conversation.retry("red")
    (again,) = sent_by(conversation)
    assert (type(again), again.room_id) == (Leave, "red")
    assert feed(conversation, refusals.NOT_JOINED.as_error(again.request_id)) == []
    conversation.retry("red")
    assert sent_by(conversation) == []


def test_refused_join_ends_the_room():
    conversation = new_conversation()
    red = conversation.open_room("red")
    post = red.post("to red")
    query = red.query(lambda request_id: ReadHistory("red", request_id=request_id))
    log_in(conversation)
    (join,) = sent_by(conversation)
    banned = messages.Error("You are banned.", "banned", request_id=join.request_id)
    refused = [RequestRefused(request_id, banned) for request_id in (red.join_id, post, query)]
    assert feed(conversation, banned) == [*refused, RoomEnded("red", banned)]
    assert conversation.open_room("red") is not red


def test_refused_rejoin_ends_the_room():
    conversation, red = rejoining_red()
    post = red.post("to red")
    rejoin = sent_by(conversation)[-1]
    banned = messages.Error("You are banned.", "banned", request_id=rejoin.request_id)
    assert feed(conversation, banned) == [RequestRefused(post, banned), RoomEnded("red", banned)]
    conversation.disconnected()
    log_in(conversation)
    assert sent_by(conversation) == []


def test_removal_ends_the_room_but_not_the_command_in_flight():
    conversation, red = in_red()
    first, second = red.post("first"), red.post("second")
    (post,) = sent_by(conversation)
    assert feed(conversation, KICKED) == [RequestRefused(second, KICKED), RoomEnded("red", KICKED)]
    accepted = messages.Accepted(first, 6, "now", request_id=post.request_id)
    assert feed(conversation, accepted) == [RequestAnswered(first, accepted)]


def test_command_in_flight_of_an_ended_room_is_lost_on_disconnect():
    conversation, red = in_red()
    post = red.post("first")
    sent_by(conversation)
    feed(conversation, KICKED)
    assert list(conversation.disconnected()) == [RequestLost(post, "Post", "the connection broke")]


@pytest.mark.parametrize("code", ["not_stored", "not_joined"])
def test_command_in_flight_of_an_ended_room_is_refused_for_good(code):
    conversation, red = in_red()
    post = red.post("first")
    sent_by(conversation)
    feed(conversation, KICKED)
    error = messages.Error("no", code, request_id=post)
    assert feed(conversation, error) == [RequestRefused(post, error)]


def test_removal_before_a_rejoin_answer_is_overruled():
    """The removal arrives while the rejoin is in flight, so the answer to the rejoin decides."""
    conversation, red = rejoining_red(position=5)
    rejoin = sent_by(conversation)[-1]
    assert feed(conversation, KICKED) == []
    feed(conversation, joined(rejoin, 5, 0))
    assert red.is_in


@pytest.mark.parametrize("is_first", [True, False], ids=["first join", "rejoin"])
def test_failed_replay_is_followed_by_a_rejoin(is_first):
    """`joined` has been received; then the server could not read on."""
    if is_first:
        conversation = new_conversation()
        conversation.open_room("red", since=0)
        log_in(conversation)
    else:
        conversation, _ = rejoining_red(position=0)
    join = sent_by(conversation)[-1]
    feed(conversation, joined(join, 9, 0), *chat_messages(1))
    assert feed(conversation, refusals.INTERNAL_FAILURE.as_error(join.request_id, removed_from="red")) == [RETRY_RED]
    conversation.retry("red")
    (again,) = sent_by(conversation)
    assert (type(again), again.room_id, again.since) == (Join, "red", 1)
    assert feed(conversation, joined(again, 9, 0), *chat_messages(2)) == received(2)


def test_post_in_a_lost_room_is_sent_again_after_a_rejoin():
    conversation, red = in_red()
    red.post("to red")
    (post,) = sent_by(conversation)
    assert feed(conversation, refusals.NOT_JOINED.as_error(post.request_id)) == [RETRY_RED]
    conversation.retry("red")
    (join,) = sent_by(conversation)
    assert feed(conversation, joined(join, 5, 0)) == []
    assert sent_by(conversation) == [post]
