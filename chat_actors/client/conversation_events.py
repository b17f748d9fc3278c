"""The events of a `Conversation` that are not messages of the server."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.client.events import Gap
from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.protocol import AnyMessage, messages


class RequestAnswered(msgspec.Struct, frozen=True):
    """The server answered a request."""

    request_id: str
    answer: AnyMessage | UnknownMessage


class RequestRefused(msgspec.Struct, frozen=True):
    """The server refused a request, and would refuse it again."""

    request_id: str
    error: messages.Error


class RequestLost(msgspec.Struct, frozen=True):
    """A request got no answer and is not sent again. The server may have executed it or not."""

    request_id: str
    command: str
    why: str


class Resumed(msgspec.Struct, frozen=True):
    """The user is logged in and in the room again. The next messages continue the previous ones, except for a `Gap`."""


ConversationEvent: TypeAlias = AnyMessage | Gap | RequestAnswered | RequestRefused | RequestLost | Resumed
