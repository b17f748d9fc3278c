"""The events of a `Conversation`. A bare message from the server belongs to the user and not to a room."""

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


class RoomEvent(msgspec.Struct, frozen=True):
    """An event of a room.

    Attributes:
        room_id: The room.
        event: The message, or the `Gap` in its place.
    """

    room_id: str
    event: AnyMessage | Gap


class RoomResumed(msgspec.Struct, frozen=True):
    """The user is in the room again. The messages continue where they broke off, except after a `Gap`.

    Attributes:
        room_id: The room.
    """

    room_id: str


class RoomEnded(msgspec.Struct, frozen=True):
    """The server refused a join for good, or removed the user. The client does not rejoin.

    Attributes:
        room_id: The room.
        error: The reason.
    """

    room_id: str
    error: messages.Error


class RetryNeeded(msgspec.Struct, frozen=True):
    """A request failed that may succeed later. Call `Conversation.retry` after a pause.

    Attributes:
        room_id: The room that waits for `retry`; None for the queries.
    """

    room_id: str | None


ConversationEvent: TypeAlias = (
    AnyMessage | RequestAnswered | RequestRefused | RequestLost | RoomEvent | RoomResumed | RoomEnded | RetryNeeded
)
