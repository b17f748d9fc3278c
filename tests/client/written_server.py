"""A conversation that talks with a server written down in the test, message by message."""

import itertools

import msgspec

from chat_actors.client import Conversation
from chat_actors.client.conversation_events import RetryNeeded, RoomEvent
from chat_actors.protocol import Join, Leave, Post, ReadHistory, decode_command, encode, messages
from tests.chat.rig import KEY
from tests.client.model_server import WELCOME

RETRY_RED = RetryNeeded("red")
KICKED = messages.Error("ann removed you.", "kicked", "red")


def sent_by(conversation):
    """The commands after the login."""
    commands = [decode_command(text) for text in conversation.to_send()]
    return [command for command in commands if isinstance(command, Join | Leave | Post | ReadHistory)]


def feed(conversation, *received):
    return [event for message in received for event in conversation.receive(encode(message))]


def log_in(conversation, welcome=WELCOME):
    conversation.connected()
    return feed(conversation, welcome, messages.Challenge("AAAA"), messages.authenticated("ann"))


def new_conversation(**options):
    ids = itertools.count()
    return Conversation("ann", KEY, new_id=lambda: f"id{next(ids)}", **options)


def joined(join, seq, lost=None):
    """The answer to a join; `lost` if it has a `since`."""
    answer = messages.joined("ann", join.room_id, join.request_id, seq, additional=True)
    if join.since is None:
        return answer
    return msgspec.structs.replace(answer, recovered=not lost, missed=max(0, seq - join.since), lost=lost or None)


def rejoining_red(position=5):
    """Logged in again after a disconnect, with the room's messages received up to `position`. The rejoin is sent."""
    conversation = new_conversation()
    red = conversation.open_room("red")
    log_in(conversation)
    feed(conversation, joined(sent_by(conversation)[-1], position))
    conversation.disconnected()
    log_in(conversation)
    return conversation, red


def in_red(position=5):
    """Logged in, and in the room again."""
    conversation, red = rejoining_red(position)
    feed(conversation, joined(sent_by(conversation)[-1], position, 0))
    return conversation, red


def chat_messages(*seqs, room_id="red"):
    return [messages.ChatMessage("ben", room_id, str(seq), "now", seq) for seq in seqs]


def in_room(*events, room_id="red"):
    return [RoomEvent(room_id, event) for event in events]


def received(*seqs):
    return in_room(*chat_messages(*seqs))
