from chat_actors.cli.chat import render
from chat_actors.protocol import messages


def test_nothing_in_a_message_can_act_on_the_terminal():
    message = messages.ChatMessage("alice", "x", "\x1b[2Jgone\r\n\u202eevil\x9b", "2026-01-01T12:34:56.000Z", 1)
    assert render(message) == "[12:34] alice: \ufffd[2Jgone\ufffd\ufffd\ufffdevil\ufffd"
