"""The wire protocol: messages, codec, session states, errors and close codes. Uses no event loop and no clock."""

from chat_actors.protocol import messages, refusals
from chat_actors.protocol.close_codes import NO_BINARY, CloseCode, parse_retry_after, retry_after, too_slow
from chat_actors.protocol.codec import UnknownMessage, decode_message, encode, encode_command
from chat_actors.protocol.commands import (
    CLIENT_MSG_ID_CHARS,
    PROTOCOL_PART,
    REQUEST_ID_CHARS,
    AnyCommand,
    Authenticate,
    Command,
    ExtensionCommand,
    GetChallenge,
    Hello,
    Join,
    Leave,
    ListMembers,
    Ping,
    Post,
    ReadHistory,
    Register,
    SwitchRoom,
    UserId,
    has_own_room_id,
)
from chat_actors.protocol.declared import BUILT_IN, CommandSpec, DuplicateTag, MessageSpec
from chat_actors.protocol.frames import WHOLE_TEXT, compressed_text_frame, text_frame
from chat_actors.protocol.messages import AnyMessage, ExtensionMessage, ServerMessage
from chat_actors.protocol.names import (
    REMOVED_USER,
    bot_id,
    checked_content,
    is_bot_id,
    is_room_id,
    is_sender_id,
    is_user_id,
)
from chat_actors.protocol.refusals import ProtocolError, Refusal
from chat_actors.protocol.states import RULES, SessionState
from chat_actors.protocol.timestamps import format_timestamp
from chat_actors.protocol.vocabulary import Vocabulary, decode_command
from chat_actors.protocol.wire_checks import NotOnTheWire, check_wire_struct

__all__ = [
    "BUILT_IN",
    "CLIENT_MSG_ID_CHARS",
    "NO_BINARY",
    "PROTOCOL_PART",
    "REMOVED_USER",
    "REQUEST_ID_CHARS",
    "RULES",
    "WHOLE_TEXT",
    "AnyCommand",
    "AnyMessage",
    "Authenticate",
    "CloseCode",
    "Command",
    "CommandSpec",
    "DuplicateTag",
    "ExtensionCommand",
    "ExtensionMessage",
    "GetChallenge",
    "Hello",
    "Join",
    "Leave",
    "ListMembers",
    "MessageSpec",
    "NotOnTheWire",
    "Ping",
    "Post",
    "ProtocolError",
    "ReadHistory",
    "Refusal",
    "Register",
    "ServerMessage",
    "SessionState",
    "SwitchRoom",
    "UnknownMessage",
    "UserId",
    "Vocabulary",
    "bot_id",
    "check_wire_struct",
    "checked_content",
    "compressed_text_frame",
    "decode_command",
    "decode_message",
    "encode",
    "encode_command",
    "format_timestamp",
    "has_own_room_id",
    "is_bot_id",
    "is_room_id",
    "is_sender_id",
    "is_user_id",
    "messages",
    "parse_retry_after",
    "refusals",
    "retry_after",
    "text_frame",
    "too_slow",
]
