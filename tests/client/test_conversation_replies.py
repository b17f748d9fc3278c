"""`Conversation` and single replies of a server: repeated, late, refused and lost ones."""

import itertools

import msgspec
import pytest

from chat_actors.client import Conversation, Gap, ServerTooOld, TooMuchUnsent
from chat_actors.client.conversation_events import (
    RequestAnswered,
    RequestLost,
    RequestRefused,
    RetryNeeded,
    RoomEnded,
    RoomEvent,
    RoomResumed,
)
from chat_actors.client.queries import MAX_QUERIES_IN_FLIGHT
from chat_actors.protocol import (
    ExtensionCommand,
    Hello,
    Join,
    Leave,
    Post,
    ReadHistory,
    decode_command,
    encode,
    messages,
    refusals,
)
from tests.chat.rig import KEY
from tests.client.model_server import WELCOME

RETRY_RED = RetryNeeded("red")
KICKED = messages.Error("ann removed you.", "kicked", "red")


def sent_by(conversation):
    """The commands after the login."""
    commands = [decode_command(text) for text in conversation.to_send()]
    return [command for command in commands if isinstance(command, Join | Leave | Post | ReadHistory)]


def feed(conversation, *received):
    return [event for message in received for event in conversation.receive(encode(message))]


def log_in(conversation, welcome=WELCOME):
    conversation.connected()
    return feed(conversation, welcome, messages.Challenge("AAAA"), messages.authenticated("ann"))


def new_conversation(**options):
    ids = itertools.count()
    return Conversation("ann", KEY, new_id=lambda: f"id{next(ids)}", **options)


def joined(join, seq, lost=None):
    """The answer to a join; `lost` if it has a `since`."""
    answer = messages.joined("ann", join.room_id, join.request_id, seq, additional=True)
    if join.since is None:
        return answer
    return msgspec.structs.replace(answer, recovered=not lost, missed=max(0, seq - join.since), lost=lost or None)


def rejoining_red(position=5):
    """Logged in again after a disconnect, with the room's messages received up to `position`. The rejoin is sent."""
    conversation = new_conversation()
    red = conversation.open_room("red")
    log_in(conversation)
    feed(conversation, joined(sent_by(conversation)[-1], position))
    conversation.disconnected()
    log_in(conversation)
    return conversation, red


def in_red(position=5):
    """Logged in, and in the room again."""
    conversation, red = rejoining_red(position)
    feed(conversation, joined(sent_by(conversation)[-1], position, 0))
    return conversation, red


def chat_messages(*seqs, room_id="red"):
    return [messages.ChatMessage("ben", room_id, str(seq), "now", seq) for seq in seqs]


def in_room(*events, room_id="red"):
    return [RoomEvent(room_id, event) for event in events]


def received(*seqs):
    return in_room(*chat_messages(*seqs))


# -- the login ---------------------------------------------------------------------------------------------------------


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


# -- the position ------------------------------------------------------------------------------------------------------


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


# -- several rooms -----------------------------------------------------------------------------------------------------


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


# -- falling behind ----------------------------------------------------------------------------------------------------


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


# -- refusals and removals ---------------------------------------------------------------------------------------------


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


# -- commands and queries ----------------------------------------------------------------------------------------------


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


def test_query_is_retried_after_transient_failure():
    conversation, red = in_red()
    asked = red.query(lambda request_id: ReadHistory("red", request_id=request_id))
    for refusal in (refusals.INTERNAL_FAILURE.as_error(asked), refusals.TOO_MANY_FRAMES.as_error(asked)):
        assert [command.request_id for command in sent_by(conversation)] == [asked]
        assert feed(conversation, refusal) == [RetryNeeded(None)]
        conversation.retry(None)
    page = messages.History("red", [], None, None, False, request_id=asked)
    assert feed(conversation, page) == [RequestAnswered(asked, page)]


def test_queries_in_flight_are_bounded():
    """Queries of a room that is not joined yet do not count."""
    conversation, red = in_red()
    blue = conversation.open_room("blue")
    blue.query(lambda request_id: ReadHistory("blue", request_id=request_id))
    wanted = [
        red.query(lambda request_id: ReadHistory("red", request_id=request_id))
        for _ in range(MAX_QUERIES_IN_FLIGHT + 3)
    ]
    join, *queries = sent_by(conversation)
    assert [query.request_id for query in queries] == wanted[:MAX_QUERIES_IN_FLIGHT]
    for request_id in wanted[:3]:
        page = messages.History("red", [], None, None, False, request_id=request_id)
        assert feed(conversation, page) == [RequestAnswered(request_id, page)]
    assert [command.request_id for command in sent_by(conversation)] == wanted[-3:]
    feed(conversation, joined(join, 1))
    assert sent_by(conversation) == []  # the bound is for all rooms
