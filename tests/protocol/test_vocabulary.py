"""Commands of extensions are decoded and refused like the built-in ones."""

import json

import pytest

from chat_actors.protocol import (
    RULES,
    CommandSpec,
    DuplicateCommand,
    ExtensionCommand,
    Ping,
    ProtocolError,
    Refusal,
    SessionState,
    Vocabulary,
    refusals,
)

REFUSAL = Refusal("not_now", "Not now.")
RULES_OF_ROLL = {
    SessionState.CONNECTED: refusals.UNAUTHENTICATED,
    SessionState.AUTHENTICATED: REFUSAL,
    SessionState.IN_ROOM: None,
}


class Roll(ExtensionCommand, tag="roll"):
    dice: str
    how_many: int = 1


class Weigh(ExtensionCommand, tag="weigh"):
    first_thing: str
    other: int


VOCABULARY = Vocabulary([CommandSpec("dice", Roll, RULES_OF_ROLL), CommandSpec("scales", Weigh, RULES_OF_ROLL)])


def decode(**fields):
    return VOCABULARY.decode(json.dumps(fields))


def error(**fields):
    with pytest.raises(ProtocolError) as raised:
        decode(**fields)
    return raised.value.refusal.text, raised.value.request_id


def test_fields_are_camel_case_and_others_ignored():
    assert decode(type="roll", dice="d6", howMany=3, id="x", colour="red") == Roll("d6", 3, request_id="x")


def test_missing_field_is_named():
    assert error(type="roll", id="x") == ("dice is required for roll", "x")
    assert error(type="weigh", other="much") == ("firstThing and other are required for weigh", None)


def test_field_of_a_wrong_type_counts_as_missing():
    assert error(type="roll", dice=6) == ("dice is required for roll", None)
    assert decode(type="roll", dice="d6", howMany="many") == Roll("d6")


def test_long_id_is_refused():
    assert error(type="roll", dice="d6", id="x" * 65) == (refusals.REQUEST_ID_TOO_LONG.text, None)


def test_built_in_commands_are_unchanged():
    assert decode(type="ping") == Ping()
    assert error(type="rol")[0] == "Unknown message type: rol"
    for state in SessionState:
        assert VOCABULARY.refusal(state, Ping) is RULES[Ping][state]


def test_command_is_unknown_without_its_extension():
    with pytest.raises(ProtocolError, match="Unknown message type: roll"):
        Vocabulary().decode('{"type": "roll", "dice": "d6"}')


@pytest.mark.parametrize("state", SessionState)
def test_state_decides_whether_a_command_is_allowed(state):
    assert VOCABULARY.refusal(state, Roll) is RULES_OF_ROLL[state]


def test_duplicate_command_names_both_extensions():
    class Other(ExtensionCommand, tag="roll"):
        pass

    with pytest.raises(DuplicateCommand, match="'roll' is claimed by dice and by casino; switch one of them off"):
        Vocabulary([CommandSpec("dice", Roll, RULES_OF_ROLL), CommandSpec("casino", Other, RULES_OF_ROLL)])


def test_built_in_command_cannot_be_replaced():
    class Mine(ExtensionCommand, tag="ping"):
        pass

    with pytest.raises(DuplicateCommand, match="'ping' is claimed by the server and by mine"):
        Vocabulary([CommandSpec("mine", Mine, RULES_OF_ROLL)])
