"""Messages and commands to the text of a frame, and messages back. (Commands back: `Vocabulary`.)"""

from __future__ import annotations

import msgspec

from chat_actors.protocol.commands import AnyCommand
from chat_actors.protocol.messages import AnyMessage, ServerMessage

_message_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_encoder = msgspec.json.Encoder()


class UnknownMessage(Exception):
    """The server sent a type of message that this version does not know; a client skips it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"an unknown message from the server: {self.text[:80]!r}"


def encode(message: AnyMessage) -> bytes:
    """The payload of the frame for a message of the server: JSON in UTF-8."""
    return _encoder.encode(message)


def encode_command(command: AnyCommand) -> str:
    """The text of the frame for a client's command."""
    return _encoder.encode(command).decode()


def decode_message(data: str | bytes) -> ServerMessage:
    """For clients: the message in a frame from the server. Raises `UnknownMessage`; unknown fields are ignored."""
    try:
        return _message_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise UnknownMessage(str(data)) from None
