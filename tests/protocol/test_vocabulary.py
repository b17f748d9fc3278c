"""The vocabulary decodes and refuses the commands of extensions as it does the built-in ones."""

import json
from functools import partial

import pytest

from chat_actors.chat import Where
from chat_actors.protocol import (
    RULES,
    CommandSpec,
    DuplicateTag,
    ExtensionCommand,
    Leave,
    ListMembers,
    Ping,
    Post,
    ProtocolError,
    ReadHistory,
    Refusal,
    SessionState,
    Vocabulary,
    has_own_room_id,
    refusals,
)

REFUSAL = Refusal("not_now", "Not now.")
ONLY_IN_A_ROOM = {
    SessionState.CONNECTED: refusals.UNAUTHENTICATED,
    SessionState.AUTHENTICATED: REFUSAL,
    SessionState.NO_CURRENT_ROOM: REFUSAL,
    SessionState.IN_ROOM: None,
}


class Roll(ExtensionCommand, tag="roll"):
    dice: str
    how_many: int = 1


class Weigh(ExtensionCommand, tag="weigh"):
    first_item: str
    second_item: int


class Spin(ExtensionCommand, tag="spin"):
    pass


class Found(ExtensionCommand, tag="found"):
    room_id: str


VOCABULARY = Vocabulary(
    [
        CommandSpec("wheel", Spin, Where.IN_ROOM.rules),
        CommandSpec("towns", Found, Where.IN_ROOM.rules),
        CommandSpec("dice", Roll, ONLY_IN_A_ROOM),
        CommandSpec("scales", Weigh, ONLY_IN_A_ROOM),
    ]
)


def decode(**fields):
    return VOCABULARY.decode(json.dumps(fields))


def error(**fields):
    with pytest.raises(ProtocolError) as raised:
        decode(**fields)
    return raised.value.refusal.text, raised.value.request_id


def test_command_fields_are_camel_case_on_the_wire():
    assert decode(type="roll", dice="d6", howMany=3, id="x", color="red") == Roll("d6", 3, request_id="x")


def test_refusal_names_the_missing_fields():
    assert error(type="roll", id="x") == ("dice is required for roll", "x")
    assert error(type="weigh", secondItem="much") == ("firstItem and secondItem are required for weigh", None)


def test_required_field_of_a_wrong_type_counts_as_missing():
    assert error(type="roll", dice=6, howMany="many") == ("dice is required for roll", None)


def test_optional_field_of_a_wrong_type_is_refused():
    assert error(type="roll", dice="d6", howMany="many", id="x") == ("howMany is not valid", "x")
    assert error(type="roll", dice="d6", roomId=7) == ("roomId is not valid", None)


def test_number_may_be_written_as_a_float():
    assert decode(type="roll", dice="d6", howMany=2.0) == Roll("d6", 2)
    assert decode(type="weigh", firstItem="x", secondItem=2.0) == Weigh("x", 2)
    assert error(type="roll", dice="d6", howMany=2.5) == ("howMany is not valid", None)


def test_optional_field_may_be_null():
    assert decode(type="roll", dice="d6", howMany=None, roomId=None, id=None) == Roll("d6")


def test_command_with_a_long_id_is_refused():
    assert error(type="roll", dice="d6", id="x" * 65) == (refusals.REQUEST_ID_TOO_LONG.text, None)


def test_vocabulary_lists_its_commands():
    assert VOCABULARY.names[-5:] == ["ping", "spin", "found", "roll", "weigh"]
    assert VOCABULARY.commands[-5:] == [Ping, Spin, Found, Roll, Weigh]
    assert VOCABULARY.owners["roll"] == "dice"


@pytest.mark.parametrize(
    ("fields", "type_text"),
    [
        ({}, "undefined"),
        ({"type": None}, "null"),
        ({"type": 7}, "7"),
        ({"type": True}, "true"),
        ({"type": ["roll", {}]}, '["roll",{}]'),
        ({"type": ""}, ""),
    ],
)
def test_unknown_type_is_shown_as_in_javascript(fields, type_text):
    assert error(**fields) == (f"Unknown message type: {type_text}", None)


def test_id_has_at_most_64_characters():
    assert decode(type="roll", dice="d6", id="x" * 64).request_id == "x" * 64
    assert error(type="roll", id="x" * 64) == ("dice is required for roll", "x" * 64)
    assert error(type="roll", id="x" * 65) == ("dice is required for roll", None)


@pytest.mark.parametrize(("size", "is_valid"), [(0, False), (1, True), (64, True), (65, False)])
def test_client_msg_id_has_1_to_64_characters(size, is_valid):
    fields = {"type": "chat_message", "content": "x", "clientMsgId": "m" * size, "id": "q"}
    if is_valid:
        assert decode(**fields).client_msg_id == "m" * size
    else:
        assert error(**fields) == (refusals.INVALID_CLIENT_MSG_ID.text, "q")


def test_built_in_commands_are_unchanged():
    assert decode(type="ping") == Ping()
    assert error(type="rol")[0] == "Unknown message type: rol"
    assert VOCABULARY.rules[Ping] is RULES[Ping]


def test_command_of_a_disabled_extension_is_unknown():
    with pytest.raises(ProtocolError, match="Unknown message type: roll"):
        Vocabulary().decode('{"type": "roll", "dice": "d6"}')


@pytest.mark.parametrize("state", SessionState)
def test_state_decides_whether_a_command_is_allowed(state):
    assert VOCABULARY.refusal(state, Roll("d6")) is ONLY_IN_A_ROOM[state]


WITHOUT_A_ROOM = [SessionState.AUTHENTICATED, SessionState.NO_CURRENT_ROOM]


@pytest.mark.parametrize("state", WITHOUT_A_ROOM)
@pytest.mark.parametrize("make", [partial(Post, "x"), Leave, ListMembers, ReadHistory, partial(Spin)])
def test_command_that_names_its_room_needs_no_current_room(make, state):
    assert VOCABULARY.refusal(state, make()) in (refusals.NOT_IN_ROOM, refusals.NO_CURRENT_ROOM)
    assert VOCABULARY.refusal(state, make(room_id="red")) is None


@pytest.mark.parametrize("state", WITHOUT_A_ROOM)
def test_room_id_of_an_extensions_own_names_no_room(state):
    assert (has_own_room_id(Found), has_own_room_id(Spin)) == (True, False)
    assert VOCABULARY.refusal(state, Found(room_id="red")) is Where.IN_ROOM.rules[state]


def test_request_id_is_read_without_the_command():
    assert VOCABULARY.request_id('{"type": 7, "id": "x", "y": [1, {}]}') == "x"
    for text in ('{"id": 7}', '{"id": "' + "x" * 65 + '"}', "[]", "{", '{"type": "ping"}', '{"id": "\ud800"}'):
        assert VOCABULARY.request_id(text) is None


def test_duplicate_command_names_both_extensions():
    class Other(ExtensionCommand, tag="roll"):
        pass

    with pytest.raises(
        DuplicateTag, match=r"'roll' is claimed by dice and by casino \(Roll and .*Other\): switch one of them off"
    ):
        Vocabulary([CommandSpec("dice", Roll, ONLY_IN_A_ROOM), CommandSpec("casino", Other, ONLY_IN_A_ROOM)])


def test_built_in_command_cannot_be_replaced():
    class Mine(ExtensionCommand, tag="ping"):
        pass

    with pytest.raises(
        DuplicateTag, match=r"'ping' is claimed by the server and by mine \(.*Mine\): give .*Mine another tag"
    ):
        Vocabulary([CommandSpec("mine", Mine, ONLY_IN_A_ROOM)])
