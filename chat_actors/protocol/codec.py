"""Encodes messages and commands, and decodes messages. `Vocabulary` decodes commands."""

from __future__ import annotations

import msgspec

from chat_actors.protocol.commands import AnyCommand
from chat_actors.protocol.messages import AnyMessage, ServerMessage

_message_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_encoder = msgspec.json.Encoder()


class UnknownMessage(Exception):
    """The server sent a message type that this version does not know. Clients skip it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"an unknown message from the server: {self.text[:80]!r}"


def encode(message: AnyMessage) -> bytes:
    """The frame payload of a message of the server: JSON in UTF-8."""
    return _encoder.encode(message)


def encode_command(command: AnyCommand) -> str:
    """The frame text of a client's command."""
    return _encoder.encode(command).decode()


def decode_message(data: str | bytes) -> ServerMessage:
    """The message in a frame from the server, for clients. Ignores unknown fields. Raises `UnknownMessage`."""
    try:
        return _message_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise UnknownMessage(str(data)) from None
