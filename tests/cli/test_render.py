"""The lines that the plain chat prints."""

from datetime import UTC, timedelta, timezone

import pytest

from chat_actors.cli.plain_chat import render
from chat_actors.protocol import messages


def test_message_cannot_control_the_terminal():
    message = messages.ChatMessage("alice", "x", "\x1b[2Jgone\r\n\u202eevil\x9b", "2026-01-01T12:34:56.000Z", 1)
    assert render(message, UTC) == "[12:34] alice: \ufffd[2Jgone\ufffd\ufffd\ufffdevil\ufffd"


@pytest.mark.parametrize(
    ("timestamp", "hours", "shown"),
    [
        ("2026-01-01T12:34:56.000Z", 5.5, "[18:04]"),
        ("2026-01-01T12:34:56.000Z", -8, "[04:34]"),
        ("0001-01-01T00:00:00.000Z", -8, "[--:--]"),
        ("\x1b[2J", 0, "[--:--]"),
    ],
)
def test_time_is_in_the_local_zone(timestamp, hours, shown):
    message = messages.ChatMessage("alice", "x", "hello", timestamp, 1)
    assert render(message, timezone(timedelta(hours=hours))) == f"{shown} alice: hello"
