"""`Conversation` and single replies of a server: repeated, late, refused and lost ones."""

import msgspec
import pytest

from chat_actors.client import Gap, ServerTooOld, TooMuchUnsent
from chat_actors.client.conversation_events import RequestAnswered, RetryNeeded, RoomResumed
from chat_actors.client.queries import MAX_QUERIES_IN_FLIGHT, MAX_QUERIES_OF_ROOM
from chat_actors.protocol import Hello, ReadHistory, decode_command, messages, refusals
from tests.client.model_server import WELCOME
from tests.client.written_server import (
    RETRY_RED,
    chat_messages,
    feed,
    in_red,
    in_room,
    joined,
    log_in,
    new_conversation,
    received,
    rejoining_red,
    sent_by,
)


def test_hello_comes_before_the_challenge():
    conversation = new_conversation()
    conversation.connected()
    first, second = (decode_command(text) for text in conversation.to_send())
    assert isinstance(first, Hello)
    assert (first.protocol, first.features) == (3, ["rooms"])
    assert type(second).__name__ == "GetChallenge"


@pytest.mark.parametrize(
    "answer",
    [
        messages.Error("Unknown message type: hello", "unknown_type"),
        messages.Error("Unknown message type: hello"),
        msgspec.structs.replace(WELCOME, features=["edits"]),
        messages.Challenge("AAAA"),
    ],
)
def test_server_without_rooms_is_too_old(answer):
    with pytest.raises(ServerTooOld, match="it lacks rooms; update the server"):
        log_in(new_conversation(), answer)


def test_receive_needs_a_connection():
    with pytest.raises(RuntimeError):
        new_conversation().receive("{}")


def test_repeated_message_is_dropped():
    conversation, _ = in_red()
    assert feed(conversation, *chat_messages(7), *chat_messages(7)) == received(7)


def test_hole_in_the_numbers_is_no_gap():
    """Only the server's `lost` means lost messages: the numbers may have holes."""
    conversation, _ = in_red()
    assert feed(conversation, *chat_messages(6, 9)) == received(6, 9)


def test_messages_before_the_answer_to_a_join_are_dropped():
    """They come again in the replay of the join."""
    conversation, red = in_red()
    red.fall_behind()
    red.caught_up()
    join = sent_by(conversation)[-1]
    assert feed(conversation, *chat_messages(6)) == []
    assert feed(conversation, joined(join, 7, 0), *chat_messages(6, 7)) == received(6, 7)


def test_only_the_last_join_counts():
    """An earlier join may be answered late. Its replay comes again with the last one."""
    conversation, _ = rejoining_red(position=5)
    first = sent_by(conversation)[-1]
    too_many = refusals.TOO_MANY_FRAMES.as_error()  # names no request, as from an older server
    assert feed(conversation, too_many) == [RetryNeeded(None), RETRY_RED]
    conversation.retry("red")
    second = sent_by(conversation)[-1]
    assert (first.since, second.since) == (5, 5)
    assert feed(conversation, joined(first, 30, 15), *chat_messages(*range(21, 31))) == []
    # Meanwhile the server pruned more.
    assert feed(conversation, joined(second, 40, 30), *chat_messages(*range(36, 41))) == [
        RoomResumed("red"),
        *in_room(Gap("red", 30)),
        *received(*range(36, 41)),
    ]


def test_gap_without_replay_is_reported_once():
    """A gap that no message follows is not reported again by the next rejoin."""
    conversation, _ = rejoining_red(position=5)
    assert feed(conversation, joined(sent_by(conversation)[-1], 20, 15)) == [
        RoomResumed("red"),
        *in_room(Gap("red", 15)),
    ]
    conversation.disconnected()
    log_in(conversation)
    rejoin = sent_by(conversation)[-1]
    assert rejoin.since == 5
    assert feed(conversation, joined(rejoin, 22, 16), *chat_messages(22)) == [
        RoomResumed("red"),
        *in_room(Gap("red", 1)),
        *received(22),
    ]


def test_gap_is_not_counted_again_by_a_room_that_falls_behind():
    """The connection is lost between the gap and the next message, while the program does not read."""
    conversation, red = rejoining_red(position=5)
    first = feed(conversation, joined(sent_by(conversation)[-1], 20, 15))
    assert first == [RoomResumed("red"), *in_room(Gap("red", 15))]
    red.fall_behind()
    conversation.disconnected()
    log_in(conversation)
    red.caught_up()
    rejoin = sent_by(conversation)[-1]
    assert feed(conversation, joined(rejoin, 22, 15), *chat_messages(21, 22)) == [RoomResumed("red"), *received(21, 22)]


def test_later_gap_is_counted_from_the_new_position():
    conversation, _ = rejoining_red(position=5)
    feed(conversation, joined(sent_by(conversation)[-1], 21, 15), *chat_messages(21))
    conversation.disconnected()
    log_in(conversation)
    rejoin = sent_by(conversation)[-1]
    assert rejoin.since == 21
    assert feed(conversation, joined(rejoin, 25, 3), *chat_messages(25)) == [
        RoomResumed("red"),
        *in_room(Gap("red", 3)),
        *received(25),
    ]


def test_restarted_numbers_are_an_unknown_gap():
    """The server has lost its data, and its numbers begin again."""
    conversation, _ = rejoining_red(position=5)
    answer = joined(sent_by(conversation)[-1], 2)
    forgotten = msgspec.structs.replace(answer, recovered=False, missed=None, lost=None)
    assert feed(conversation, forgotten, *chat_messages(2, 3)) == [
        RoomResumed("red"),
        *in_room(Gap("red", None)),
        *received(3),
    ]


def test_unanswered_requests_are_bounded():
    conversation = new_conversation(max_unanswered=3)
    red, blue = conversation.open_room("red"), conversation.open_room("blue")
    for n in range(3):
        red.post(str(n))
        blue.query(lambda request_id: ReadHistory("blue", request_id=request_id))
    with pytest.raises(TooMuchUnsent, match="3 commands"):
        red.post("3")
    blue.post("another room has its own queue")
    with pytest.raises(TooMuchUnsent):
        red.query(lambda request_id: ReadHistory("red", request_id=request_id))
    assert (red.unanswered, blue.unanswered) == (3, 1)


def test_invalid_text_is_rejected_before_queueing():
    conversation, red = in_red()
    for ask in (
        lambda: red.post("\ud800"),
        lambda: conversation.open_room("\udcff"),
        lambda: red.query(lambda request_id: ReadHistory("\udcff", request_id=request_id)),
    ):
        with pytest.raises(ValueError, match="surrogates"):
            ask()
    red.post("fine")
    assert [command.content for command in sent_by(conversation)] == ["fine"]


def test_cancelled_command_is_never_sent():
    conversation, red = in_red()
    first, second = red.post("first"), red.post("second")
    red.cancel(second)
    red.cancel(first)  # in flight
    assert [command.content for command in sent_by(conversation)] == ["first"]
    accepted = messages.Accepted(first, 6, "now", request_id=first)
    assert feed(conversation, accepted) == [RequestAnswered(first, accepted)]
    assert sent_by(conversation) == []


def test_command_over_the_frame_limit_is_not_sent():
    """The server would close the connection."""
    conversation = new_conversation()
    red = conversation.open_room("red")
    limits = msgspec.structs.replace(WELCOME.limits, frame_bytes=200)
    log_in(conversation, msgspec.structs.replace(WELCOME, limits=limits))
    feed(conversation, joined(sent_by(conversation)[-1], 5))
    huge = red.post("é" * 100)
    red.post("small")
    (refused,) = conversation.take_events()
    assert (refused.request_id, refused.error.code) == (huge, "too_big")
    assert [command.content for command in sent_by(conversation)] == ["small"]


def test_largest_command_in_flight_is_refused_when_too_big():
    """It ended the connection, and would end the next one too."""
    conversation, red = in_red()
    blue = conversation.open_room("blue")
    feed(conversation, joined(sent_by(conversation)[-1], 0))
    red.post("small")
    huge, after = blue.post("huge" * 100), blue.post("after it")
    (refused,) = conversation.disconnected(is_too_big=True)
    assert (refused.request_id, refused.error.code) == (huge, "too_big")
    assert list(conversation.disconnected(is_too_big=True)) == []
    assert (red.unanswered, blue.unanswered) == (1, 1)
    blue.cancel(after)
    assert blue.unanswered == 0


def query_of(room):
    return room.query(lambda request_id: ReadHistory(room.room_id, request_id=request_id))


def test_query_is_retried_after_transient_failure():
    conversation, red = in_red()
    asked = red.query(lambda request_id: ReadHistory("red", request_id=request_id))
    for refusal, waits in ((refusals.INTERNAL_FAILURE, "red"), (refusals.TOO_MANY_FRAMES, None)):
        assert [command.request_id for command in sent_by(conversation)] == [asked]
        assert feed(conversation, refusal.as_error(asked)) == [RetryNeeded(waits)]
        conversation.retry(waits)
    page = messages.History("red", [], None, None, False, request_id=asked)
    assert feed(conversation, page) == [RequestAnswered(asked, page)]


def test_queries_in_flight_are_bounded():
    """One room may have only some of them. Queries of a room that is not joined yet do not count."""
    conversation, red = in_red()
    blue, green = conversation.open_room("blue"), conversation.open_room("green")
    wanted = [query_of(red) for _ in range(MAX_QUERIES_OF_ROOM + 3)]
    for _ in range(MAX_QUERIES_IN_FLIGHT - MAX_QUERIES_OF_ROOM):
        query_of(blue)
    query_of(green)
    join_blue, join_green, *queries = sent_by(conversation)
    assert [query.request_id for query in queries] == wanted[:MAX_QUERIES_OF_ROOM]
    for request_id in wanted[:3]:
        page = messages.History("red", [], None, None, False, request_id=request_id)
        assert feed(conversation, page) == [RequestAnswered(request_id, page)]
    assert [command.request_id for command in sent_by(conversation)] == wanted[-3:]
    feed(conversation, joined(join_blue, 1), joined(join_green, 1))
    assert {query.room_id for query in sent_by(conversation)} == {"blue"}  # the other bound is for all rooms


def test_failed_query_pauses_its_room_alone():
    conversation, red = in_red()
    blue = conversation.open_room("blue")
    feed(conversation, joined(sent_by(conversation)[-1], 1))
    failed, also = query_of(red), query_of(red)
    answers = [refusals.INTERNAL_FAILURE.as_error(request_id) for request_id in (failed, also)]
    sent_by(conversation)
    assert feed(conversation, *answers) == [RETRY_RED]
    query_of(red), query_of(blue)
    assert [query.room_id for query in sent_by(conversation)] == ["blue"]
    red.post("not held up")
    assert [post.content for post in sent_by(conversation)] == ["not held up"]
    conversation.retry("red")
    assert [query.room_id for query in sent_by(conversation)] == ["red"] * 3
