"""What a room of a `Conversation` does after it was lost, refused for the moment, or answered with nonsense."""

import msgspec
import pytest

from chat_actors.client.conversation_context import MAX_UNSENT_TEXTS
from chat_actors.client.conversation_events import RequestAnswered, RequestLost, RequestRefused, RetryNeeded, RoomEnded
from chat_actors.protocol import (
    ExtensionCommand,
    ExtensionMessage,
    Join,
    Leave,
    Post,
    ReadHistory,
    encode,
    messages,
    refusals,
)
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
    sent_by,
)

RED_CLOSED = refusals.ROOM_CLOSED.as_error(removed_from="red")


class Roll(ExtensionCommand, frozen=True, tag="roll"):
    pass


class Draw(ExtensionCommand, frozen=True, tag="draw"):
    line: str


class Rolled(ExtensionMessage, frozen=True, tag="rolled"):
    pass


def catching_up(*contents):
    """In the room, with posts, the first of which is in flight, and with a rejoin in flight after it."""
    conversation, red = in_red()
    for content in contents:
        red.post(content)
    (post,) = sent_by(conversation)
    red.fall_behind()
    red.caught_up()
    (join,) = sent_by(conversation)
    return conversation, red, post, join


@pytest.mark.parametrize("removal", [RED_CLOSED, KICKED], ids=["closed", "kicked"])
def test_removal_during_a_rejoin_sends_the_post_again(removal):
    conversation, _, post, join = catching_up("first", "second")
    assert feed(conversation, removal) == []
    assert feed(conversation, joined(join, 6, 0), *chat_messages(6)) == received(6)
    assert sent_by(conversation) == [post]


def test_removal_during_a_rejoin_loses_an_extension_command():
    conversation, red = in_red()
    asked = red.ask(Roll(), Rolled)
    conversation.to_send()
    red.fall_behind()
    red.caught_up()
    assert feed(conversation, RED_CLOSED) == [RequestLost(asked, "Roll", RED_CLOSED.message)]


def test_removal_before_the_retry_of_a_rejoin_sends_the_post_again():
    conversation, _, post, join = catching_up("first")
    assert feed(conversation, refusals.TOO_MANY_FRAMES.as_error(join.request_id), RED_CLOSED) == [RETRY_RED]
    conversation.retry("red")
    (join,) = sent_by(conversation)
    feed(conversation, joined(join, 5, 0))
    assert sent_by(conversation) == [post]


@pytest.mark.parametrize("refusal", [refusals.ROOM_CLOSED, refusals.BUSY], ids=["closed", "busy"])
def test_refused_rejoin_of_a_lost_room_sends_the_post_again(refusal):
    conversation, _, post, join = catching_up("first")
    assert feed(conversation, refusal.as_error(join.request_id, removed_from="red")) == [RETRY_RED]
    conversation.retry("red")
    (again,) = sent_by(conversation)
    feed(conversation, joined(again, 5, 0))
    assert sent_by(conversation) == [post]


def test_refused_rejoin_of_a_lost_room_gives_up_the_post_at_the_end():
    """Its answer may be lost, so that nothing may wait for it."""
    conversation, red, post, join = catching_up("first")
    banned = messages.Error("You are banned.", "banned", "red", request_id=join.request_id)
    lost = RequestLost(post.request_id, "Post", banned.message)
    assert feed(conversation, banned) == [RoomEnded("red", banned), lost]
    assert red.unanswered == 0


def test_post_that_may_be_stored_is_lost_and_not_refused():
    conversation, red = in_red()
    first, second = red.post("first"), red.post("second")
    sent_by(conversation)
    conversation.disconnected()
    log_in(conversation)
    (join,) = sent_by(conversation)
    banned = messages.Error("You are banned.", "banned", request_id=join.request_id)
    lost = RequestLost(first, "Post", banned.message)
    assert feed(conversation, banned) == [lost, RequestRefused(second, banned), RoomEnded("red", banned)]


@pytest.mark.parametrize("refusal", [refusals.BUSY, refusals.ROOM_CLOSED], ids=["busy", "closed"])
def test_join_is_retried(refusal):
    conversation = new_conversation()
    conversation.open_room("red")
    log_in(conversation)
    (join,) = sent_by(conversation)
    assert feed(conversation, refusal.as_error(join.request_id)) == [RETRY_RED]
    conversation.retry("red")
    assert [type(command) for command in sent_by(conversation)] == [Join]


def test_busy_server_is_asked_again():
    conversation, red = in_red()
    red.post("hello")
    red.query(lambda request_id: ReadHistory("red", request_id=request_id))
    sent = sent_by(conversation)
    events = feed(conversation, *(refusals.BUSY.as_error(command.request_id) for command in sent))
    assert set(map(type, events)) == {RetryNeeded}
    for event in events:
        conversation.retry(event.room_id)
    assert sent_by(conversation) == sent
    red.close()
    (leave,) = sent_by(conversation)
    assert feed(conversation, refusals.BUSY.as_error(leave.request_id)) == [RETRY_RED]


@pytest.mark.parametrize("code", ["busy", "room_closed"])
def test_refused_extension_command_is_not_sent_again(code):
    conversation, red = in_red()
    asked = red.ask(Roll(), Rolled)
    error = messages.Error("no", code, request_id=asked)
    assert feed(conversation, error) == [RequestRefused(asked, error)]


def test_post_to_a_closed_room_is_sent_again_once():
    conversation, red = in_red()
    red.post("hello")
    (post,) = sent_by(conversation)
    assert feed(conversation, refusals.ROOM_CLOSED.as_error(post.request_id), RED_CLOSED) == [RETRY_RED]
    conversation.retry("red")
    (join,) = sent_by(conversation)
    feed(conversation, joined(join, 5, 0))
    assert sent_by(conversation) == [post]
    accepted = messages.Accepted(post.client_msg_id, 6, "now", request_id=post.request_id)
    assert feed(conversation, accepted, accepted) == [RequestAnswered(post.request_id, accepted)]


def test_join_at_the_room_limit_waits_for_own_leaves():
    conversation, red = in_red()
    red.close()
    blue = conversation.open_room("blue")
    leave, join = sent_by(conversation)
    assert isinstance(leave, Leave)
    limit = refusals.room_limit(1)
    assert feed(conversation, limit.as_error(join.request_id)) == [RetryNeeded("blue")]
    feed(conversation, messages.Left("red", request_id=leave.request_id))
    conversation.retry("blue")
    (join,) = sent_by(conversation)
    refused = limit.as_error(join.request_id)  # of other rooms, so that waiting does not help
    assert feed(conversation, refused) == [RequestRefused(blue.join_id, refused), RoomEnded("blue", refused)]


def test_stalled_connection_takes_no_more_of_tell():
    conversation, red = in_red()
    assert sum(red.tell(Roll()) for _ in range(MAX_UNSENT_TEXTS + 5)) == MAX_UNSENT_TEXTS
    conversation.to_send()
    assert red.tell(Roll())


def test_nothing_is_kept_of_cancelled_requests_and_closed_rooms():
    conversation, red = in_red()
    red.post("in flight")
    red.close()
    blue = conversation.open_room("blue")
    leave, join = (command for command in sent_by(conversation) if not isinstance(command, Post))
    feed(conversation, messages.Left("red", request_id=leave.request_id), joined(join, 5))
    asked = blue.ask(Roll(), Rolled)
    query = blue.query(lambda request_id: ReadHistory("blue", request_id=request_id))
    blue.tell(Roll())
    blue.cancel(asked)
    blue.cancel(query)
    conversation.to_send()
    blue.close()
    leave = sent_by(conversation)[-1]
    feed(conversation, messages.Left("blue", request_id=leave.request_id))
    assert conversation._context._in_flight == conversation._context.rooms == {}


def test_too_big_message_is_no_command_of_tell():
    """`tell` checks the size, so that only another command can have been too big."""
    conversation, red = in_red()
    red.tell(Draw("x" * 3000))
    post = red.post("y" * 1000)
    (refused,) = conversation.disconnected(is_too_big=True)
    assert refused.request_id == post


@pytest.mark.parametrize("oldest", ["post", "query", "none"])
def test_invalid_json_ends_the_oldest_request(oldest):
    conversation, red = in_red()
    red.tell(Roll())
    requests = {
        "post": lambda: red.post("hello"),
        "query": lambda: red.query(lambda request_id: ReadHistory("red", request_id=request_id)),
    }
    first, second = sorted(requests, key=lambda name: name != oldest)
    invalid = refusals.INVALID_JSON.as_error()
    if oldest == "none":
        assert feed(conversation, invalid) == [invalid]
        return
    ended = requests[first]()
    requests[second]()
    assert feed(conversation, invalid) == [RequestRefused(ended, msgspec.structs.replace(invalid, request_id=ended))]


def test_join_with_an_unreadable_answer_ends_the_room():
    conversation = new_conversation()
    red = conversation.open_room("red")
    log_in(conversation)
    (join,) = sent_by(conversation)
    answer = encode(joined(join, 7)).replace(b'"seq":7', b'"seq":"7"')
    refused, ended = conversation.receive(answer)
    assert (refused.request_id, ended.room_id, ended.error.code) == (red.join_id, "red", "unreadable_answer")
    assert [type(command) for command in sent_by(conversation)] == [Leave]
