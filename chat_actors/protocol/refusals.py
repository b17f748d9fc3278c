"""All refusals of the server. Each has a fixed text for people and a stable code for programs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chat_actors.protocol.commands import BaseCommand
from chat_actors.protocol.messages import Error


class Refusal(msgspec.Struct, frozen=True):
    """The reason why the server refuses a command."""

    code: str
    text: str
    field: str | None = None
    """The field that is not valid, on the wire."""

    def as_error(self, request_id: str | None = None, *, removed_from: str | None = None) -> Error:
        """The `error` for the request with this id. `removed_from`: the room from which the client is removed."""
        return Error(self.text, self.code, removed_from, self.field, request_id=request_id)


class ProtocolError(Exception):
    """The client sent a frame that is not a valid command. `request_id` is its `id`, if that could be read.

    `command` is set if the frame is a command except for an optional field: the state's refusal then comes first.
    """

    def __init__(
        self, refusal: Refusal, request_id: str | None = None, command: type[BaseCommand] | None = None
    ) -> None:
        self.refusal = refusal
        self.request_id = request_id
        self.command = command

    def __str__(self) -> str:
        return self.refusal.text


# Frames.
INVALID_JSON = Refusal("invalid_json", "Invalid JSON format")


def unknown_type(type_text: str) -> Refusal:
    """`type_text`: the value of `type` as JavaScript would print it."""
    return Refusal("unknown_type", f"Unknown message type: {type_text}")


# Required fields.
REGISTER_FIELDS = Refusal("missing_field", "userId and publicKey are required for register message")
AUTHENTICATE_FIELDS = Refusal("missing_field", "userId and signature are required for authenticate message")
JOIN_FIELDS = Refusal("missing_field", "userId is required for join message")
CONTENT_REQUIRED = Refusal("missing_field", "content is required for chat_message")
SWITCH_ROOM_FIELDS = Refusal("missing_field", "roomId is required for switch_room message")


def missing_fields(command: str, required: Sequence[str]) -> Refusal:
    """For a command of an extension that lacks these fields."""
    fields, verb = " and ".join(required), "is" if len(required) == 1 else "are"
    return Refusal("missing_field", f"{fields} {verb} required for {command}")


# Optional fields.
def invalid_field(field: str) -> Refusal:
    return Refusal("invalid_field", f"{field} is not valid", field)


# Registration.
TOO_MANY_REGISTRATIONS = Refusal("too_many_registrations", "Too many registration attempts. Please try again later.")
INVALID_USER_ID = Refusal("invalid_user_id", "User ID must be 3-32 alphanumeric characters")
USER_EXISTS = Refusal("user_exists", "User ID already exists")
INVALID_PUBLIC_KEY = Refusal("invalid_public_key", "Invalid public key format")
KEY_TOO_SHORT = Refusal("key_too_short", "Public key must be at least 2048 bits")

# Authentication.
USER_NOT_REGISTERED = Refusal("user_not_registered", "User not registered")
NO_CHALLENGE = Refusal("no_challenge", "No challenge issued. Request a challenge first.")
CHALLENGE_EXPIRED = Refusal("challenge_expired", "Challenge expired. Request a new challenge.")
INVALID_SIGNATURE = Refusal("invalid_signature", "Invalid signature")
AUTHENTICATION_FAILED = Refusal("authentication_failed", "Authentication failed")
JOIN_UNAUTHENTICATED = Refusal("not_authenticated", "Authentication required before joining rooms")
UNAUTHENTICATED = Refusal("not_authenticated", "Authentication required")

# Rooms.
USER_ID_MISMATCH = Refusal("user_id_mismatch", "User ID mismatch")
NOT_IN_ROOM = Refusal("not_in_room", "Not connected to any room")
NO_CURRENT_ROOM = Refusal("no_current_room", "There is no current room. Name a roomId.")
NOT_JOINED = Refusal("not_joined", "This connection is not in that room. Join it first.")


def room_limit(limit: int) -> Refusal:
    return Refusal("room_limit", f"At most {limit} rooms on one connection. Leave one first.")


# Limits of this server, and its failures.
INVALID_ROOM_ID = Refusal("invalid_room_id", "Room ID must be 1-128 characters without control characters")
TOO_MANY_FRAMES = Refusal("too_many_messages", "Too many messages. Wait a moment and send again.")
TOO_MANY_ROOMS = Refusal("too_many_rooms", "Too many room changes. Wait a minute and try again.")
ROOM_FAILED = Refusal("room_failed", "The room failed on this message. It was not delivered; send it again.")
ROOM_CLOSED = Refusal("room_closed", "The room was closed. Join it again.")
NOT_STORED = Refusal("not_stored", "The message could not be stored, and was not delivered. Send it again later.")
NO_HISTORY = Refusal("no_history", "This server keeps no messages.")
REQUEST_ID_TOO_LONG = Refusal("invalid_id", "id must be at most 64 characters")
INVALID_CLIENT_MSG_ID = Refusal("invalid_client_msg_id", "clientMsgId must be 1-64 characters")
BUSY = Refusal("busy", "The server is busy. Try again later.")
INTERNAL_FAILURE = Refusal("internal_failure", "The server could not do this now. Try again later.")


# Room kinds.
ROOM_EXISTS = Refusal("room_exists", "The room exists already. Choose another name, or join it.")


def unknown_kind(chosen_as: str, known: Sequence[str]) -> Refusal:
    return Refusal("unknown_kind", f"There is no room kind {chosen_as!r}. Available: {', '.join(known)}")


def kind_missing(chosen_as: str) -> Refusal:
    return Refusal("kind_missing", f"This room needs the room kind {chosen_as!r}, which is not available now.")


def not_in_this_room(command: str) -> Refusal:
    return Refusal("not_in_this_room", f"{command} is not available in this room")


def content_too_long(limit: int) -> Refusal:
    return Refusal("content_too_long", f"content must be at most {limit} characters")
