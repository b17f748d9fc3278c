"""Commands of extensions in a conversation: carried out at most once, whatever the server says meanwhile."""

import json

import pytest

from chat_actors import Command, Message
from chat_actors.client import Conversation, Refused
from chat_actors.client.conversation_events import RequestAnswered, RequestLost, RequestRefused
from chat_actors.client.session import ClientSession
from chat_actors.protocol import encode, messages, refusals
from tests.chat.rig import KEY
from tests.client.test_conversation import conversation_in_red, hear


class Roll(Command, frozen=True, tag="roll"):
    pass


class Rolled(Message, frozen=True, tag="rolled"):
    result: int = 6


@pytest.fixture
def conversation():
    conversation = conversation_in_red(heard=5)
    rejoin = sent_by(conversation)[-1]
    hear(conversation, messages.Joined("red", "ann", "", 5, True, 0, request_id=rejoin["id"]))
    return conversation


def sent_by(conversation):
    return [json.loads(text) for text in conversation.to_send()]


def types_sent_by(conversation):
    return [command["type"] for command in sent_by(conversation)]


def test_an_answer_is_given_to_who_asked_and_is_no_event(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    assert sent_by(conversation) == [{"type": "roll", "id": request_id}]
    answer = Rolled(request_id=request_id)
    assert hear(conversation, answer) == [RequestAnswered(request_id, answer)]
    assert hear(conversation, answer) == []


def test_what_was_asked_before_the_line_broke_has_no_answer_and_is_not_sent_again(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    conversation.post("behind it")
    sent_by(conversation)
    assert conversation.disconnected() == (RequestLost(request_id, "Roll", "the connection broke"),)
    assert conversation.unanswered == 1


def test_what_waits_to_be_sent_is_sent_on_the_next_line(conversation):
    conversation.post("first")
    conversation.ask(Roll(), Rolled)
    assert conversation.disconnected() == ()
    assert conversation.unanswered == 2


def test_a_frame_too_many_may_have_been_another_so_nobody_knows(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    told = hear(conversation, refusals.TOO_MANY_FRAMES.as_error())
    assert told == [RequestLost(request_id, "Roll", refusals.TOO_MANY_FRAMES.text)]
    sent_by(conversation)
    conversation.retry()
    assert types_sent_by(conversation) == []


def test_a_room_that_closes_meanwhile_leaves_it_unanswered(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    sent_by(conversation)
    told = hear(conversation, refusals.ROOM_CLOSED.as_error(out_of="red"))
    assert told == [RequestLost(request_id, "Roll", refusals.ROOM_CLOSED.text)]
    conversation.retry()
    assert types_sent_by(conversation) == ["join"]


def test_a_failure_of_the_extension_is_told_and_not_tried_again(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    error = refusals.INTERNAL_FAILURE.as_error(request_id)
    assert hear(conversation, error) == [RequestRefused(request_id, error)]
    assert not conversation.needs_retry


def test_what_has_no_answer_is_sent_at_once_or_not_at_all(conversation):
    conversation.post("on its way")
    assert conversation.tell(Roll())
    assert types_sent_by(conversation) == ["chat_message", "roll"]
    conversation.disconnected()
    assert not conversation.tell(Roll())
    conversation.connected()
    assert not conversation.tell(Roll())


@pytest.mark.parametrize("text", ['{"type": "from_a_newer_server", "id": "x"}', '{"type": 7}', "[]", "no JSON"])
def test_what_nobody_understands_is_passed_over(conversation, text):
    waiting = conversation.post("hello")
    assert conversation.receive(text) == ()
    assert conversation.receive(text.replace('"x"', f'"{waiting}"')) == ()
    assert conversation.unanswered == 1


def test_of_two_who_register_the_same_user_at_once_both_log_in():
    session = ClientSession("ann", KEY)
    for message in (
        messages.Challenge("AAAA"),
        refusals.USER_NOT_REGISTERED.as_error(),
        refusals.USER_EXISTS.as_error(),
        messages.Challenge("AAAA"),
    ):
        session.receive(encode(message))
    assert types_sent_by(session)[-1] == "authenticate"
    assert session.receive(encode(messages.authenticated("ann"))) == messages.authenticated("ann")


def test_a_server_that_never_knows_what_it_registered_is_not_asked_for_ever():
    conversation = Conversation("ann", KEY, new_id=str)
    conversation.connected()
    known = [messages.Challenge("AAAA"), refusals.USER_NOT_REGISTERED.as_error(), messages.registered("ann")]
    hear(conversation, *known, messages.Challenge("AAAA"))
    with pytest.raises(Refused, match="User not registered"):
        hear(conversation, refusals.USER_NOT_REGISTERED.as_error())
