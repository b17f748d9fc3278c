import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_actors.protocol import (
    RULES,
    Authenticate,
    CloseCode,
    Command,
    GetChallenge,
    Join,
    Leave,
    ListMembers,
    Ping,
    Post,
    ProtocolError,
    ReadHistory,
    Register,
    SessionState,
    SwitchRoom,
    UnknownMessage,
    decode_command,
    decode_message,
    encode,
    encode_command,
    format_timestamp,
    is_room_id,
    is_user_id,
    messages,
    parse_retry_after,
    refusals,
    retry_after,
    too_slow,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
SEQ = st.integers(0, 2**53 - 1)
ID = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
COMMANDS = st.one_of(
    st.just(GetChallenge()),
    st.builds(Register, TEXT, TEXT),
    st.builds(Authenticate, TEXT, TEXT),
    st.builds(Join, TEXT, st.none() | TEXT, st.none() | SEQ, request_id=ID),
    st.builds(Post, TEXT, ID),
    st.builds(SwitchRoom, TEXT),
    st.builds(Leave, request_id=ID),
    st.builds(ListMembers, st.none() | TEXT, request_id=ID),
    st.builds(ReadHistory, st.none() | TEXT, st.none() | SEQ, st.none() | SEQ, st.none() | SEQ, request_id=ID),
    st.builds(Ping, request_id=ID),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(COMMANDS)
def test_encoded_command_decodes_to_itself(command):
    assert decode_command(encode_command(command)) == command


@given(st.text() | st.binary() | st.text(st.characters()))
def test_any_text_is_a_command_or_a_protocol_error(data):
    try:
        decode_command(data)
    except ProtocolError:
        pass


@given(
    st.dictionaries(
        st.sampled_from(["type", "userId", "publicKey", "signature", "roomId", "content"]),
        st.sampled_from(["register", "authenticate", "join", "chat_message", "switch_room", "get_challenge"]) | JSON,
    )
)
def test_any_object_is_a_command_or_a_protocol_error(fields):
    try:
        decode_command(json.dumps(fields))
    except ProtocolError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        "",
        "[]",
        "nul",
        '{"type": "get_challenge"} x',
        '{"type": "get_challenge", "n": NaN}',
        '{"type": "chat_message", "content": "\\ud800"}',
        '{"type": "chat_message", "content": "\ud800"}',
        '{"\\udfff": 1, "type": "get_challenge"}',
        '{"type": "get_challenge", "x": ' + "[" * 12_000 + "]" * 12_000 + "}",
        b'{"type": "chat_message", "content": "\xff"}',
    ],
)
def test_broken_json_is_invalid_json(data):
    with pytest.raises(ProtocolError) as caught:
        decode_command(data)
    assert caught.value.refusal == refusals.INVALID_JSON


@pytest.mark.parametrize("room", ['"roomId": null', '"roomId": 7', '"x": 1'])
def test_join_without_a_valid_room_has_none(room):
    assert decode_command(f'{{"type": "join", "userId": "alice", {room}}}') == Join("alice", None)


def test_unknown_fields_of_a_command_are_ignored():
    assert decode_command('{"type": "chat_message", "content": "x", "mood": [1, {"a": null}]}') == Post("x")


def test_unknown_message_is_an_error_to_skip():
    with pytest.raises(UnknownMessage, match="from_the_future"):
        decode_message('{"type": "from_the_future"}')


def test_unknown_fields_of_a_message_are_ignored():
    text = '{"type": "error", "message": "no", "since": 7}'
    assert decode_message(text) == messages.Error("no")


@given(TEXT)
def test_message_is_one_line_of_json(content):
    message = messages.ChatMessage("alice", "general", content, "2026-01-01T00:00:00.000Z", 1)
    text = encode(message).decode()
    assert "\n" not in text
    assert list(json.loads(text)) == ["type", "userId", "roomId", "content", "timestamp", "seq"]
    assert decode_message(text) == message


def test_rules_cover_every_command_and_state():
    assert set(RULES) == set(Command.__args__)
    assert all(set(rules) == set(SessionState) for rules in RULES.values())


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("abc", True),
        ("A-z_9", True),
        ("a" * 32, True),
        ("ab", False),
        ("a" * 33, False),
        ("abc\n", False),
        ("äbc", False),
    ],
)
def test_user_id_is_3_to_32_ascii_characters(text, is_valid):
    assert is_user_id(text) is is_valid


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [("x", True), ("Ünï 👋", True), ("", False), ("a\tb", False), ("x" * 129, False), ("\ud800", False)],
)
def test_room_id_is_1_to_128_printable_characters(text, is_valid):
    assert is_room_id(text) is is_valid


def test_timestamps_are_utc_with_milliseconds():
    at = datetime(2026, 1, 31, 13, 0, 0, 5999, tzinfo=timezone(timedelta(hours=1)))
    assert format_timestamp(at) == "2026-01-31T12:00:00.005Z"
    assert format_timestamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_close_codes_are_those_of_the_protocol():
    assert {int(code) for code in CloseCode} == {
        *(1000, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013),
        *(4001, 4003, 4008),
    }


@pytest.mark.parametrize(
    ("reason", "milliseconds"),
    [
        (retry_after(0), 0),
        ("retry after 1500", 1500),
        ("retry after ", None),
        ("retry after -1", None),
        ("retry after ١", None),
        ("retry 5", None),
        ("retry after 5 s", None),
        ("", None),
    ],
)
def test_retry_after_is_parsed_from_a_reason(reason, milliseconds):
    assert parse_retry_after(reason) == milliseconds


def test_reason_of_an_eviction_names_the_backlog():
    assert too_slow(1000) == "too slow: over 1000 bytes were waiting; reconnect and catch up"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"type": "join", "userId": "alice", "since": -1, "id": "q"}', "since"),
        ('{"type": "join", "userId": "alice", "since": 1.5, "roomId": "red", "id": "q"}', "since"),
        ('{"type": "join", "userId": "alice", "since": "1", "id": "q"}', "since"),
        ('{"type": "join", "userId": "alice", "since": true, "id": "q"}', "since"),
        ('{"type": "join", "userId": "alice", "since": 9007199254740992, "id": "q"}', "since"),
        ('{"type": "join", "userId": "alice", "additional": 1, "id": "q"}', "additional"),
        ('{"type": "join", "userId": "alice", "roomId": 42, "id": "q"}', "roomId"),
        ('{"type": "history", "before": "7", "id": "q"}', "before"),
        ('{"type": "history", "after": [3], "id": "q"}', "after"),
        ('{"type": "history", "limit": -1, "id": "q"}', "limit"),
        ('{"type": "members", "roomId": 5, "id": "q"}', "roomId"),
        ('{"type": "leave", "roomId": false, "id": "q"}', "roomId"),
        ('{"type": "chat_message", "content": "x", "clientMsgId": 5, "id": "q"}', "clientMsgId"),
        ('{"type": "chat_message", "content": "x", "roomId": {}, "id": "q"}', "roomId"),
        ('{"type": "hello", "features": "rooms", "id": "q"}', "features"),
        ('{"type": "hello", "features": [7], "id": "q"}', "features"),
        ('{"type": "hello", "protocol": 0, "id": "q"}', "protocol"),
        ('{"type": "hello", "client": 7, "id": "q"}', "client"),
    ],
)
def test_optional_field_of_a_wrong_type_is_refused(text, field):
    with pytest.raises(ProtocolError) as caught:
        decode_command(text)
    assert caught.value.refusal.as_error("q") == messages.Error(
        f"{field} is not valid", "invalid_field", field=field, request_id="q"
    )
    assert caught.value.request_id == "q"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"type": "join", "userId": "alice", "since": 2.0}', Join("alice", since=2)),
        ('{"type": "join", "userId": "alice", "since": null, "additional": null, "id": null}', Join("alice")),
        ('{"type": "join", "userId": "alice", "roomId": 42, "since": null}', Join("alice")),
        ('{"type": "history", "before": 7e0, "limit": null}', ReadHistory(before=7)),
        ('{"type": "chat_message", "content": "x", "clientMsgId": null, "roomId": null}', Post("x")),
        ('{"type": "ping", "id": ""}', Ping(request_id="")),
    ],
)
def test_optional_field_of_plain_meaning_is_accepted(text, command):
    assert decode_command(text) == command


@pytest.mark.parametrize("request_id", ["7", "[]", "true"])
def test_invalid_id_is_refused_and_not_repeated(request_id):
    with pytest.raises(ProtocolError) as caught:
        decode_command(f'{{"type": "ping", "id": {request_id}}}')
    assert (caught.value.refusal.field, caught.value.request_id) == ("id", None)


def test_missing_required_field_is_told_first():
    with pytest.raises(ProtocolError, match="content is required for chat_message"):
        decode_command('{"type": "chat_message", "content": 7, "roomId": 7, "clientMsgId": 7}')


@pytest.mark.parametrize(
    ("text", "request_id"),
    [
        ('{"type": "nonsense", "id": "q"}', "q"),
        ('{"type": "register", "id": "q"}', "q"),
        ('{"type": "chat_message", "content": "", "id": "q"}', "q"),
        ('{"type": "switch_room", "roomId": "", "id": "q"}', "q"),
        ('{"type": "nonsense", "id": 7}', None),
        ('{"type": "nonsense", "id": "' + 65 * "x" + '"}', None),
        ('{"id": "q"', None),
    ],
)
def test_error_has_the_id_of_its_command(text, request_id):
    with pytest.raises(ProtocolError) as caught:
        decode_command(text)
    assert caught.value.request_id == request_id
