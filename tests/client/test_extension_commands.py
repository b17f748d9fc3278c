"""Extension commands in a `Conversation` are executed at most once. Also: decoding, and concurrent registration."""

import json

import pytest

from chat_actors import Command, Message
from chat_actors.client import AccessRefused, Conversation
from chat_actors.client.conversation_events import RequestAnswered, RequestLost, RequestRefused
from chat_actors.client.session import ClientSession
from chat_actors.protocol import encode, messages, refusals
from tests.chat.rig import KEY
from tests.client.test_conversation_replies import conversation_rejoining_red, feed


class Roll(Command, frozen=True, tag="roll"):
    pass


class Rolled(Message, frozen=True, tag="rolled"):
    result: int = 6


@pytest.fixture
def conversation():
    conversation = conversation_rejoining_red(position=5)
    rejoin = sent_by(conversation)[-1]
    feed(conversation, messages.Joined("red", "ann", "", 5, True, 0, request_id=rejoin["id"]))
    return conversation


def sent_by(conversation):
    return [json.loads(text) for text in conversation.to_send()]


def types_sent_by(conversation):
    return [command["type"] for command in sent_by(conversation)]


def test_answer_resolves_its_request_and_is_no_event(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    assert sent_by(conversation) == [{"type": "roll", "id": request_id}]
    answer = Rolled(request_id=request_id)
    assert feed(conversation, answer) == [RequestAnswered(request_id, answer)]
    assert feed(conversation, answer) == []


def test_command_in_flight_is_lost_on_disconnect(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    conversation.post("behind it")
    sent_by(conversation)
    assert conversation.disconnected() == (RequestLost(request_id, "Roll", "the connection broke"),)
    assert conversation.unanswered == 1


def test_queued_commands_survive_a_disconnect(conversation):
    conversation.post("first")
    conversation.ask(Roll(), Rolled)
    assert conversation.disconnected() == ()
    assert conversation.unanswered == 2


def test_command_in_flight_is_lost_at_frame_limit(conversation):
    """The refusal of a frame over the limit names no request, so it may be about the command in flight."""
    request_id = conversation.ask(Roll(), Rolled)
    events = feed(conversation, refusals.TOO_MANY_FRAMES.as_error())
    assert events == [RequestLost(request_id, "Roll", refusals.TOO_MANY_FRAMES.text)]
    sent_by(conversation)
    conversation.retry()
    assert types_sent_by(conversation) == []


def test_command_in_flight_is_lost_with_its_room(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    sent_by(conversation)
    events = feed(conversation, refusals.ROOM_CLOSED.as_error(removed_from="red"))
    assert events == [RequestLost(request_id, "Roll", refusals.ROOM_CLOSED.text)]
    conversation.retry()
    assert types_sent_by(conversation) == ["join"]


def test_extension_failure_is_reported_not_retried(conversation):
    request_id = conversation.ask(Roll(), Rolled)
    error = refusals.INTERNAL_FAILURE.as_error(request_id)
    assert feed(conversation, error) == [RequestRefused(request_id, error)]
    assert not conversation.needs_retry


def test_tell_sends_at_once_or_not_at_all(conversation):
    conversation.post("in flight")
    assert conversation.tell(Roll())
    assert types_sent_by(conversation) == ["chat_message", "roll"]
    conversation.disconnected()
    assert not conversation.tell(Roll())
    conversation.connected()
    assert not conversation.tell(Roll())


@pytest.mark.parametrize("text", ['{"type": "from_a_newer_server", "id": "x"}', '{"type": 7}', "[]", "no JSON"])
def test_unknown_texts_are_ignored(conversation, text):
    waiting = conversation.post("hello")
    assert conversation.receive(text) == ()
    assert conversation.receive(text.replace('"x"', f'"{waiting}"')) == ()
    assert conversation.unanswered == 1


def test_concurrent_registration_still_logs_in():
    """Another connection of the user registered first; its key is the same, so the login succeeds."""
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


def test_registration_is_tried_once_per_connection():
    """A server that never recognizes the registered user must not cause an endless loop."""
    conversation = Conversation("ann", KEY, new_id=str)
    conversation.connected()
    known = [messages.Challenge("AAAA"), refusals.USER_NOT_REGISTERED.as_error(), messages.registered("ann")]
    feed(conversation, *known, messages.Challenge("AAAA"))
    with pytest.raises(AccessRefused, match="User not registered"):
        feed(conversation, refusals.USER_NOT_REGISTERED.as_error())
