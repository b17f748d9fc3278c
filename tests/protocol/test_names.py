"""User ids, room ids, ids of bots, and the content of messages."""

import pytest

from chat_actors.protocol import bot_id, checked_content, is_bot_id, is_room_id, is_user_id


def test_room_id_has_at_most_128_characters():
    assert is_room_id("x" * 128)
    assert not is_room_id("x" * 129)


@pytest.mark.parametrize("code_point", [0x00, 0x1F, 0x7F, 0x9F, 0x2028, 0x2029, 0xD800, 0xDFFF])
def test_room_id_has_no_control_character(code_point):
    assert not is_room_id(f"a{chr(code_point)}b")


def test_bot_id_is_no_user_id():
    assert bot_id("greeter") == "bot:greeter"
    assert is_bot_id("bot:greeter")
    assert not is_user_id("bot:greeter")
    assert not is_bot_id("greeter")


@pytest.mark.parametrize("name", ["", "ab", "a b", "bot:greeter", "x" * 33])
def test_bot_id_needs_a_valid_name(name):
    with pytest.raises(ValueError, match="is no name of a bot"):
        bot_id(name)


@pytest.mark.parametrize("content", ["x", " ", "\U0001f600", "x" * 10_000])
def test_content_is_returned_unchanged(content):
    assert checked_content(content) == content


@pytest.mark.parametrize("content", ["", None, 7, b"x", ["x"], "\ud800"])
def test_content_that_cannot_be_sent_is_an_error(content):
    with pytest.raises(ValueError):  # noqa: PT011 - one of two texts
        checked_content(content)
