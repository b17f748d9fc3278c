"""Extension commands in a `Conversation` are executed at most once. Also: decoding, and concurrent registration."""

import json

import pytest

from chat_actors import Command, Message
from chat_actors.client import AccessRefused
from chat_actors.client.conversation_events import (
    RequestAnswered,
    RequestLost,
    RequestRefused,
    RetryNeeded,
    RoomEvent,
)
from chat_actors.client.session import ClientSession
from chat_actors.protocol import encode, messages, refusals
from tests.chat.rig import KEY
from tests.client.model_server import WELCOME
from tests.client.written_server import feed, in_red, new_conversation


class Roll(Command, frozen=True, tag="roll"):
    pass


class Rolled(Message, frozen=True, tag="rolled"):
    result: int = 6


class Accept(Command, frozen=True, tag="accept"):
    room_id: str  # has its own meaning


@pytest.fixture
def rooms():
    """A conversation, and its room `red`."""
    conversation, red = in_red()
    conversation.to_send()
    return conversation, red


def sent_by(conversation):
    return [json.loads(text) for text in conversation.to_send()]


def types_sent_by(conversation):
    return [command["type"] for command in sent_by(conversation)]


def test_answer_resolves_its_request_and_is_no_event(rooms):
    conversation, red = rooms
    request_id = red.ask(Roll(), Rolled)
    assert sent_by(conversation) == [{"type": "roll", "id": request_id, "roomId": "red"}]
    answer = Rolled(request_id=request_id)
    assert feed(conversation, answer) == [RequestAnswered(request_id, answer)]
    assert feed(conversation, answer) == []


def test_command_with_its_own_room_id_keeps_it(rooms):
    conversation, red = rooms
    red.ask(Accept("blue"), Rolled)
    red.tell(Accept("green"))
    assert [command["roomId"] for command in sent_by(conversation)] == ["blue", "green"]


def test_messages_are_routed_by_their_room(rooms):
    """The class that a program declares may leave out the `roomId`."""
    conversation, red = rooms
    red.ask(Roll(), Rolled)
    rolled = '{"type": "rolled", "result": 2%s}'
    assert conversation.receive(rolled % ', "roomId": "red"') == [RoomEvent("red", Rolled(2))]
    assert conversation.receive(rolled % ', "roomId": "blue"') == [Rolled(2)]
    assert conversation.receive(rolled % "") == [Rolled(2)]
    assert conversation.receive(rolled % ', "roomId": 7') == [Rolled(2)]


def test_command_in_flight_is_lost_on_disconnect(rooms):
    conversation, red = rooms
    request_id = red.ask(Roll(), Rolled)
    red.post("behind it")
    sent_by(conversation)
    assert conversation.disconnected() == [RequestLost(request_id, "Roll", "the connection broke")]
    assert red.unanswered == 1


def test_queued_commands_survive_a_disconnect(rooms):
    conversation, red = rooms
    red.post("first")
    red.ask(Roll(), Rolled)
    assert conversation.disconnected() == []
    assert red.unanswered == 2


def test_command_in_flight_is_lost_at_unnamed_refusal(rooms):
    """The refusal of an older server names no request, so it may be about the command in flight."""
    conversation, red = rooms
    request_id = red.ask(Roll(), Rolled)
    events = feed(conversation, refusals.TOO_MANY_FRAMES.as_error())
    assert RequestLost(request_id, "Roll", refusals.TOO_MANY_FRAMES.text) in events
    sent_by(conversation)
    conversation.retry("red")
    assert types_sent_by(conversation) == []


def test_command_in_flight_is_lost_with_its_room(rooms):
    conversation, red = rooms
    request_id = red.ask(Roll(), Rolled)
    sent_by(conversation)
    events = feed(conversation, refusals.ROOM_CLOSED.as_error(removed_from="red"))
    assert events == [RequestLost(request_id, "Roll", refusals.ROOM_CLOSED.text), RetryNeeded("red")]
    conversation.retry("red")
    assert types_sent_by(conversation) == ["join"]


def test_extension_failure_is_reported_not_retried(rooms):
    conversation, red = rooms
    for refusal in (refusals.INTERNAL_FAILURE, refusals.TOO_MANY_FRAMES, refusals.NOT_JOINED):
        request_id = red.ask(Roll(), Rolled)
        error = refusal.as_error(request_id)
        assert feed(conversation, error) == [RequestRefused(request_id, error)]


def test_cancelled_command_is_not_waited_for(rooms):
    conversation, red = rooms
    request_id = red.ask(Roll(), Rolled)
    red.post("behind it")
    red.cancel(request_id)
    assert types_sent_by(conversation) == ["roll", "chat_message"]
    assert feed(conversation, Rolled(request_id=request_id)) == []


def test_tell_sends_at_once_or_not_at_all(rooms):
    conversation, red = rooms
    red.post("in flight")
    assert red.tell(Roll())
    assert types_sent_by(conversation) == ["chat_message", "roll"]
    conversation.disconnected()
    assert not red.tell(Roll())
    conversation.connected()
    assert not red.tell(Roll())


def test_refusal_of_tell_is_an_event_of_its_room(rooms):
    conversation, red = rooms
    for _ in range(2):
        red.tell(Roll())
        error = messages.Error("no dice", "no_dice", request_id=red.tell_id)
        assert feed(conversation, error) == [RoomEvent("red", error)]
    red.ask(Roll(), Rolled)  # makes the class known
    answer = Rolled(request_id=red.tell_id)
    assert feed(conversation, answer) == [RoomEvent("red", answer)]


@pytest.mark.parametrize("text", ['{"type": "from_a_newer_server", "id": "x"}', '{"type": 7}', "[]", "no JSON"])
def test_unknown_texts_are_ignored(rooms, text):
    conversation, red = rooms
    red.post("hello")
    assert conversation.receive(text) == []
    assert red.unanswered == 1


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
    conversation = new_conversation()
    conversation.connected()
    known = [WELCOME, messages.Challenge("AAAA"), refusals.USER_NOT_REGISTERED.as_error(), messages.registered("ann")]
    feed(conversation, *known, messages.Challenge("AAAA"))
    with pytest.raises(AccessRefused, match="User not registered"):
        feed(conversation, refusals.USER_NOT_REGISTERED.as_error())
