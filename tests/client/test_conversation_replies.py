"""`Conversation` and single replies of a server: repeated, late, refused and lost ones."""

import itertools

import msgspec
import pytest

from chat_actors.client import Conversation, Gap, TooMuchUnsent
from chat_actors.client.conversation_events import RequestAnswered, RequestRefused, Resumed
from chat_actors.client.queries import MAX_QUERIES_IN_FLIGHT
from chat_actors.protocol import Join, Leave, ReadHistory, decode_command, encode, messages, refusals
from tests.chat.rig import KEY


def test_unanswered_commands_are_bounded():
    conversation = Conversation("ann", KEY, new_id=itertools.count().__next__, max_unanswered=3)
    for n in range(3):
        conversation.post(str(n))
    with pytest.raises(TooMuchUnsent, match="3 commands"):
        conversation.post("3")
    assert conversation.unanswered == 3


def test_repeated_message_is_dropped():
    conversation = conversation_rejoining_red(position=5)
    assert feed(conversation, *chat_messages(7), *chat_messages(7)) == chat_messages(7)


def test_receive_needs_a_connection():
    with pytest.raises(RuntimeError):
        Conversation("ann", KEY, new_id=lambda: "x").receive("{}")


def conversation_rejoining_red(position):
    """Logged in again after a disconnect, with the room's messages received up to `position`."""
    ids = itertools.count()
    conversation = Conversation("ann", KEY, new_id=lambda: f"id{next(ids)}")
    wanted = conversation.join("red")
    for joined in (messages.joined("ann", "red", wanted, position), None):
        conversation.connected()
        conversation.receive(encode(messages.Challenge("AAAA")))
        conversation.receive(encode(messages.authenticated("ann")))
        if joined is not None:
            conversation.receive(encode(joined))
            conversation.disconnected()
    return conversation


def sent_by(conversation):
    return [decode_command(text) for text in conversation.to_send()]


def feed(conversation, *received):
    return [event for message in received for event in conversation.receive(encode(message))]


def chat_messages(*seqs):
    return [messages.ChatMessage("ben", "red", str(seq), "now", seq) for seq in seqs]


def rejoined(rejoin, seq, lost):
    joined = messages.joined("ann", "red", rejoin.request_id, seq)
    return msgspec.structs.replace(joined, recovered=lost == 0, missed=seq - rejoin.since, lost=lost or None)


def test_two_rejoins_in_flight_report_a_gap_once():
    """Messages lost between two rejoins are reported by one of the two answers only."""
    conversation = conversation_rejoining_red(position=5)
    first = sent_by(conversation)[-1]
    late = feed(conversation, refusals.ROOM_CLOSED.as_error())
    conversation.retry()
    second = sent_by(conversation)[-1]
    assert (late, first.since, second.since) == ([], 5, 5)
    assert feed(conversation, rejoined(first, 30, 15), *chat_messages(*range(21, 31))) == [
        Resumed(),
        Gap("red", 15),
        *chat_messages(*range(21, 31)),
    ]
    # Meanwhile the server pruned more: messages that were delivered already, and some that were not.
    assert feed(conversation, rejoined(second, 40, 30), *chat_messages(*range(36, 41))) == [
        Gap("red", 5),
        *chat_messages(*range(36, 41)),
    ]


def test_gap_without_replay_is_reported_once():
    """A gap that no message follows is not reported again by the next rejoin."""
    conversation = conversation_rejoining_red(position=5)
    assert feed(conversation, rejoined(sent_by(conversation)[-1], 20, 15)) == [Resumed(), Gap("red", 15)]
    conversation.disconnected()
    conversation.connected()
    feed(conversation, messages.Challenge("AAAA"), messages.authenticated("ann"))
    rejoin = sent_by(conversation)[-1]
    assert rejoin.since == 5
    assert feed(conversation, rejoined(rejoin, 22, 16), *chat_messages(22)) == [
        Resumed(),
        Gap("red", 1),
        *chat_messages(22),
    ]


def test_hole_in_the_numbers_is_no_gap():
    """Only the server's `lost` means lost messages: the numbers may have holes."""
    conversation = conversation_rejoining_red(position=5)
    assert feed(conversation, *chat_messages(6, 9)) == chat_messages(6, 9)


def test_restarted_numbers_invalidate_older_rejoins():
    """After the server lost its data, another rejoin with an old `since` is an unknown gap."""
    conversation = conversation_rejoining_red(position=5)
    first = sent_by(conversation)[-1]
    feed(conversation, refusals.ROOM_CLOSED.as_error())
    conversation.retry()
    second = sent_by(conversation)[-1]
    forgotten = msgspec.structs.replace(rejoined(first, 2, 0), recovered=False, missed=None)
    assert feed(conversation, forgotten, *chat_messages(3)) == [Resumed(), Gap("red", None), *chat_messages(3)]
    assert feed(conversation, rejoined(second, 7, 0), *chat_messages(6, 7)) == [Gap("red", None), *chat_messages(6, 7)]


def test_query_is_retried_after_transient_failure():
    conversation = conversation_rejoining_red(position=5)
    feed(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    asked = conversation.query(lambda request_id: ReadHistory(request_id=request_id))
    for refusal in (refusals.INTERNAL_FAILURE, refusals.TOO_MANY_FRAMES):
        assert [command.request_id for command in sent_by(conversation)] == [asked]
        assert feed(conversation, refusal.as_error(asked if refusal is refusals.INTERNAL_FAILURE else None)) == []
        assert conversation.needs_retry
        conversation.retry()
    page = messages.History("red", [], None, None, False, request_id=asked)
    assert feed(conversation, page) == [RequestAnswered(asked, page)]


def test_failed_replay_is_requested_again():
    """The server may answer a rejoin and then fail to replay the messages."""
    conversation = conversation_rejoining_red(position=5)
    rejoin = sent_by(conversation)[-1]
    feed(conversation, rejoined(rejoin, 8, 0), *chat_messages(6))
    assert feed(conversation, refusals.INTERNAL_FAILURE.as_error(rejoin.request_id)) == []
    assert conversation.needs_retry
    assert not conversation.can_send
    conversation.retry()
    again = sent_by(conversation)[-1]
    assert (again.room_id, again.since) == ("red", 6)
    assert feed(conversation, rejoined(again, 8, 0), *chat_messages(7, 8)) == [Resumed(), *chat_messages(7, 8)]


def test_rejoin_behind_a_join_is_followed_by_another():
    """A rejoin sent after a join moves the user back, so the client joins the new room again."""
    conversation = conversation_rejoining_red(position=5)
    feed(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    wanted = conversation.join("blue")
    conversation.post("for blue only")
    assert [command.room_id for command in sent_by(conversation)] == ["blue"]
    feed(conversation, refusals.ROOM_CLOSED.as_error())  # about red, before the server has handled the join
    conversation.retry()
    (rejoin,) = sent_by(conversation)
    assert rejoin.room_id == "red"
    feed(conversation, messages.joined("ann", "blue", wanted, 3))
    assert sent_by(conversation) == []  # the rejoin in flight may still move the user back to red
    feed(conversation, rejoined(rejoin, 5, 0))
    (back,) = sent_by(conversation)
    assert (back.room_id, back.since) == ("blue", 3)
    joined = msgspec.structs.replace(messages.joined("ann", "blue", back.request_id, 3), recovered=True, missed=0)
    feed(conversation, joined)
    conversation.retry()
    assert [command.content for command in sent_by(conversation)] == ["for blue only"]
    assert conversation.room_id == "blue"


def test_rejoin_behind_a_leave_is_undone():
    """A rejoin sent after a leave moves the user back in, so the client leaves again."""
    conversation = conversation_rejoining_red(position=5)
    feed(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    wanted = conversation.leave()
    sent_by(conversation)
    feed(conversation, refusals.ROOM_CLOSED.as_error())
    conversation.retry()
    (rejoin,) = sent_by(conversation)
    feed(conversation, messages.Left("red", request_id=wanted), rejoined(rejoin, 5, 0))
    (undone,) = sent_by(conversation)
    assert isinstance(undone, Leave)
    assert conversation.room_id is None
    assert conversation.can_send


def test_invalid_text_is_rejected_before_queueing():
    conversation = conversation_rejoining_red(position=5)
    feed(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    for ask in (
        lambda: conversation.post("\ud800"),
        lambda: conversation.join("\udcff"),
        lambda: conversation.query(lambda request_id: ReadHistory("\udcff", request_id=request_id)),
    ):
        with pytest.raises(ValueError, match="surrogates"):
            ask()
    conversation.post("fine")
    assert [command.content for command in sent_by(conversation)] == ["fine"]


def test_cancelled_command_is_never_sent():
    conversation = conversation_rejoining_red(position=5)
    feed(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    first, second = conversation.post("first"), conversation.post("second")
    conversation.cancel(second)
    conversation.cancel(first)  # in flight
    assert [command.content for command in sent_by(conversation)] == ["first"]
    accepted = messages.Accepted(first, 6, "now", request_id=first)
    assert feed(conversation, accepted) == [RequestAnswered(first, accepted)]
    assert sent_by(conversation) == []


def test_fail_in_flight_fails_one_command():
    """A command that ended the connection is refused; the next ones stay in the queue."""
    conversation = conversation_rejoining_red(position=5)
    feed(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    too_big = messages.Error("too big", "too_big")
    huge = conversation.post("huge")
    conversation.post("small")
    sent_by(conversation)
    assert conversation.fail_in_flight(too_big) == (RequestRefused(huge, too_big),)
    assert conversation.fail_in_flight(too_big) == ()
    assert conversation.unanswered == 1


def test_queries_in_flight_are_bounded():
    conversation = conversation_rejoining_red(position=5)
    feed(conversation, rejoined(sent_by(conversation)[-1], 5, 0))
    wanted = [
        conversation.query(lambda request_id: ReadHistory(request_id=request_id))
        for _ in range(MAX_QUERIES_IN_FLIGHT + 3)
    ]
    asked = [command.request_id for command in sent_by(conversation)]
    assert asked == wanted[:MAX_QUERIES_IN_FLIGHT]
    feed(conversation, refusals.TOO_MANY_FRAMES.as_error())
    conversation.retry()
    assert [command.request_id for command in sent_by(conversation)] == asked
    for request_id in wanted[:3]:
        page = messages.History("red", [], None, None, False, request_id=request_id)
        assert feed(conversation, page) == [RequestAnswered(request_id, page)]
    assert [command.request_id for command in sent_by(conversation)] == wanted[-3:]


def test_refused_rejoin_leaves_the_room():
    """A permanent refusal of a rejoin ends the membership, and the queue continues."""
    conversation = conversation_rejoining_red(position=5)
    conversation.post("to red")
    rejoin = sent_by(conversation)[-1]
    banned = messages.Error("You are banned.", "banned", request_id=rejoin.request_id)
    assert feed(conversation, banned) == [Resumed(), banned]
    assert conversation.room_id is None
    assert not conversation.needs_retry
    (post,) = sent_by(conversation)
    (refused,) = feed(conversation, refusals.NOT_IN_ROOM.as_error(post.request_id))
    assert isinstance(refused, RequestRefused)


def conversation_in_red(position=5):
    """Logged in, and in the room again."""
    conversation = conversation_rejoining_red(position)
    feed(conversation, rejoined(sent_by(conversation)[-1], position, 0))
    return conversation


def test_removed_user_does_not_rejoin():
    conversation = conversation_in_red()
    conversation.post("to red")
    (post,) = sent_by(conversation)
    kicked = messages.Error("ann put you out.", "kicked", "red")
    assert feed(conversation, kicked) == [kicked]
    assert conversation.room_id is None
    (refused,) = feed(conversation, refusals.NOT_IN_ROOM.as_error(post.request_id))
    assert isinstance(refused, RequestRefused)
    conversation.disconnected()
    conversation.connected()
    feed(conversation, messages.Challenge("AAAA"), messages.authenticated("ann"))
    assert not any(isinstance(command, Join) for command in sent_by(conversation))


@pytest.mark.parametrize("is_first", [True, False], ids=["first join", "rejoin"])
def test_failed_replay_is_followed_by_a_rejoin(is_first):
    """`joined` has been received; then the server could not read on."""
    if is_first:
        conversation = Conversation("ann", KEY, new_id=(f"id{n}" for n in itertools.count()).__next__)
        conversation.join("red", since=0)
        conversation.connected()
        feed(conversation, messages.Challenge("AAAA"), messages.authenticated("ann"))
    else:
        conversation = conversation_rejoining_red(position=5)
    join = sent_by(conversation)[-1]
    feed(conversation, rejoined(join, 9, 0))
    feed(conversation, refusals.INTERNAL_FAILURE.as_error(join.request_id, removed_from="red"))
    assert conversation.room_id == "red"
    assert conversation.needs_retry
    conversation.retry()
    again = sent_by(conversation)[-1]
    assert (type(again), again.room_id) == (Join, "red")


def test_move_refused_after_the_leave_ends_both():
    """The error answers the join, and names the room that the client has left for it."""
    conversation = conversation_in_red()
    conversation.join("blue")
    join = sent_by(conversation)[-1]
    banned = messages.Error("You are banned.", "banned", "red", request_id=join.request_id)
    assert feed(conversation, banned) == [RequestRefused(join.request_id, banned), banned]
    assert conversation.room_id is None
    assert conversation.unanswered == 0


def test_removal_from_another_room_is_ignored():
    conversation = conversation_in_red()
    kicked = messages.Error("ann put you out.", "kicked", "blue")
    assert feed(conversation, kicked) == [kicked]
    assert conversation.room_id == "red"


def test_removal_before_a_rejoin_answer_is_overruled():
    """The removal arrives while the rejoin is in flight, so the answer to the rejoin decides."""
    conversation = conversation_rejoining_red(position=5)
    rejoin = sent_by(conversation)[-1]
    feed(conversation, messages.Error("ann put you out.", "kicked", "red"))
    feed(conversation, rejoined(rejoin, 5, 0))
    assert conversation.room_id == "red"
    assert conversation.can_send
