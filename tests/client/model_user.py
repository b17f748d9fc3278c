"""A program in the state machine test of `Conversation`: it checks each event against what the server has stored."""

import itertools

from chat_actors.client import Conversation, Gap
from chat_actors.client.conversation_events import (
    RequestAnswered,
    RequestLost,
    RequestRefused,
    RetryNeeded,
    RoomEnded,
    RoomEvent,
)
from chat_actors.protocol import messages
from tests.chat.rig import KEY
from tests.client.model_server import Connection


class OpenRoom:
    """A room that a program has opened: its requests, and what it has received."""

    def __init__(self, conversation, since):
        self.conversation = conversation
        self.since = since
        self.position = None
        self.open_gap = 0
        self.requested = [conversation.join_id]

    def check(self, event, stored):
        match event:
            case messages.Joined():
                assert self.position is None
                self.position = event.seq if self.since is None else self.since
            case Gap(lost=lost):
                assert lost is not None
                assert lost > 0
                self.open_gap += lost
            case messages.ChatMessage():
                assert event == stored[event.seq // 3 - 1]
                skipped = (event.seq - self.position) // 3 - 1
                assert skipped == self.open_gap, "missed without a gap, repeated, or a wrong gap"
                self.position, self.open_gap = event.seq, 0


class User:
    """A conversation, its open rooms, and its requests."""

    def __init__(self, user_id, rooms):
        ids = itertools.count()
        self.user_id = user_id
        self.rooms = rooms
        self.conversation = Conversation(user_id, KEY, new_id=lambda: f"{user_id}-{next(ids)}")
        self.connection = None
        self.open = {}  # room id -> OpenRoom
        self.known = {}  # room id -> the position of the room when it was open last
        self.pending = set()
        self.answered = set()
        self.stored_posts = set()
        self.refused_posts = set()
        self.posts = {}  # the id of each post -> its content
        self.retries = set()

    def connect(self):
        self.connection = Connection(self.rooms, self.user_id)
        self.conversation.connected()

    def cut(self):
        self.connection.leave_all()
        self.connection = None
        self.retries.clear()
        self.handle(self.conversation.disconnected())

    def open_room(self, room_id, *, resumes):
        since = self.known.get(room_id) if resumes else None
        room = OpenRoom(self.conversation.open_room(room_id, since), since)
        self.open[room_id] = room
        self.pending.add(room.conversation.join_id)

    def close_room(self, room_id):
        room = self.open.pop(room_id)
        self.known[room_id] = room.position
        room.conversation.close()
        self.pending.difference_update(room.requested)

    def send(self):
        texts = self.conversation.to_send()
        self.connection.to_server.extend(texts)
        return bool(texts)

    def receive(self):
        self.handle(self.conversation.receive(self.connection.to_client.popleft()))

    def handle(self, events):
        for event in events:
            match event:
                case RequestAnswered(request_id=request_id):
                    self.finish(request_id)
                    self.stored_posts.add(request_id)
                case RequestRefused(request_id=request_id, error=error):
                    has_ended = all(request_id not in room.requested for room in self.open.values())
                    # A post in flight when its room ended is not sent again, whatever its refusal.
                    assert error.code in {"banned", "kicked", "not_joined"} or has_ended, error
                    self.finish(request_id)
                    self.refused_posts.add(request_id)
                case RequestLost(request_id=request_id):
                    self.finish(request_id)
                case RoomEvent(room_id=room_id, event=room_event):
                    self.open[room_id].check(room_event, self.rooms[room_id].stored)
                case RoomEnded(room_id=room_id):
                    del self.open[room_id]
                case RetryNeeded(room_id=room_id):
                    self.retries.add(room_id)

    def finish(self, request_id):
        self.pending.remove(request_id)  # each is answered once

    def retry(self, room_id):
        self.retries.discard(room_id)
        self.conversation.retry(room_id)

    def is_idle(self):
        return not (self.connection.to_server or self.connection.to_client or self.retries)
