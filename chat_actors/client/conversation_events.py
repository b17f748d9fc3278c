"""The events of a `Conversation` besides the messages from the server."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat_actors.client.events import Gap
from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.protocol import AnyMessage, messages


class RequestAnswered(msgspec.Struct, frozen=True):
    """The server answered a request.

    Attributes:
        request_id: The id of the request.
        answer: The message that answers it.
    """

    request_id: str
    answer: AnyMessage | UnknownMessage


class RequestRefused(msgspec.Struct, frozen=True):
    """The server refused a request for good. It is not sent again.

    Attributes:
        request_id: The id of the request.
        error: The reason.
    """

    request_id: str
    error: messages.Error


class RequestLost(msgspec.Struct, frozen=True):
    """A request got no answer and is not sent again. The server may or may not have executed it.

    Attributes:
        request_id: The id of the request.
        command: The class name of its command, such as "Post".
        why: Why there is no answer, for people.
    """

    request_id: str
    command: str
    why: str


class Resumed(msgspec.Struct, frozen=True):
    """The user is logged in and in the room again. The messages continue where they broke off, except after a `Gap`."""


ConversationEvent: TypeAlias = AnyMessage | Gap | RequestAnswered | RequestRefused | RequestLost | Resumed
