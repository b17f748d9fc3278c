"""A state machine test of `Conversation` against a model of a server, with failures at any moment.

Connections are cut with texts in flight; the server is killed, prunes messages, refuses requests temporarily, and
closes rooms. The delivered messages and gaps are compared with everything that was ever stored.
"""

import itertools
from collections import defaultdict, deque

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chat_actors.client import Conversation, Gap
from chat_actors.client.conversation_events import RequestAnswered, RequestRefused
from chat_actors.protocol import (
    Authenticate,
    GetChallenge,
    Join,
    Leave,
    Post,
    ReadHistory,
    decode_command,
    encode,
    messages,
    refusals,
)
from tests.chat.rig import KEY

ROOMS = ("red", "blue")
USERS = ("ann", "ben")
TRANSIENT = (refusals.NOT_STORED, refusals.ROOM_FAILED, refusals.TOO_MANY_FRAMES)


class Room:
    """All messages ever stored, the first `pruned` of which have been removed, and their deduplication keys.

    The numbers go up in threes: clients may rely on their order only.
    """

    def __init__(self):
        self.stored = []
        self.pruned = 0
        self.seq_by_key = {}
        self.members = []

    @property
    def last(self):
        return 3 * len(self.stored)

    def after(self, seq):
        return self.stored[max(seq // 3, self.pruned) :]


class Connection:
    """The server's end of a connection, and the texts in flight."""

    def __init__(self, rooms, user_id):
        self.rooms = rooms
        self.user_id = user_id
        self.room_id = None
        self.to_server = deque()
        self.to_client = deque()

    def tell(self, message):
        self.to_client.append(encode(message))

    def leave_room(self):
        if self.room_id is not None:
            self.rooms[self.room_id].members.remove(self)
            self.room_id = None

    def close_room(self):
        """The room closes after a failure."""
        self.leave_room()
        self.tell(refusals.ROOM_CLOSED.as_error())

    def is_asked_to_join(self):
        return bool(self.to_server) and isinstance(decode_command(self.to_server[0]), Join)

    def handle(self, refuse=None):
        """Handle the oldest received text. `refuse` is the refusal to answer with instead."""
        command = decode_command(self.to_server.popleft())
        request_id = command.request_id
        if refuse is not None and not isinstance(command, GetChallenge | Authenticate):
            # A frame over the limit is refused without reading it, so the refusal has no id.
            self.tell(refuse.as_error(None if refuse is refusals.TOO_MANY_FRAMES else request_id))
            return
        match command:
            case GetChallenge():
                self.tell(messages.Challenge("AAAA"))
            case Authenticate():
                self.tell(messages.authenticated(self.user_id))
            case Join():
                self.join(command)
            case Leave() if self.room_id is not None:
                self.tell(messages.Left(self.room_id, request_id=request_id))
                self.leave_room()
            case ReadHistory() if self.room_id is not None:
                page = self.rooms[self.room_id].after(0)[-50:]
                first, last = (page[0].seq, page[-1].seq) if page else (None, None)
                self.tell(messages.History(self.room_id, page, first, last, False, request_id=request_id))
            case Post() if self.room_id is not None:
                self.post(command)
            case Post() | Leave() | ReadHistory():
                self.tell(refusals.NOT_IN_ROOM.as_error(request_id))

    def join(self, command):
        self.leave_room()
        room, self.room_id = self.rooms[command.room_id], command.room_id
        room.members.append(self)
        joined = messages.joined(self.user_id, command.room_id, command.request_id, room.last)
        if command.since is None:
            self.tell(joined)
            return
        kept = room.after(command.since)
        missed = len(room.stored) - command.since // 3
        lost = missed - len(kept)
        self.tell(msgspec.structs.replace(joined, recovered=not lost, missed=missed, lost=lost or None))
        for message in kept:
            self.tell(message)

    def post(self, command):
        room, key = self.rooms[self.room_id], (self.user_id, command.client_msg_id)
        if key not in room.seq_by_key:
            message = messages.ChatMessage(self.user_id, self.room_id, command.content, "now", room.last + 3)
            room.stored.append(message)
            room.seq_by_key[key] = message.seq
            for member in room.members:
                member.tell(message)
        self.tell(messages.Accepted(command.client_msg_id, room.seq_by_key[key], "now", request_id=command.request_id))


class User:
    """A conversation, its requests, and its events. `position` and `open_gap` are those of the current room."""

    def __init__(self, user_id, rooms):
        ids = itertools.count()
        self.rooms = rooms
        self.conversation = Conversation(user_id, KEY, new_id=lambda: f"{user_id}-{next(ids)}")
        self.connection = None
        self.requested = []
        self.answered = []
        self.posts = {}  # the id of each post -> its content
        self.position = None
        self.open_gap = 0

    def connect(self):
        self.connection = Connection(self.rooms, self.conversation.user_id)
        self.conversation.connected()

    def cut(self):
        self.connection.leave_room()
        self.connection = None
        self.conversation.disconnected()

    def send(self):
        texts = self.conversation.to_send()
        self.connection.to_server.extend(texts)
        return bool(texts)

    def receive(self):
        for event in self.conversation.receive(self.connection.to_client.popleft()):
            self.check(event)

    def check(self, event):
        match event:
            case RequestAnswered(request_id=request_id):
                self.answered.append(request_id)
            case RequestRefused(request_id=request_id, error=error):
                assert error.code == "not_in_room", error
                self.answered.append(request_id)
            case messages.Joined():
                self.position, self.open_gap = event.seq, 0
            case messages.Left():
                self.position = None
            case Gap():
                assert event.room_id == self.conversation.room_id
                assert event.lost is not None
                assert event.lost > 0
                self.open_gap += event.lost
            case messages.ChatMessage():
                assert event == self.rooms[event.room_id].stored[event.seq // 3 - 1]
                skipped = (event.seq - self.position) // 3 - 1
                assert skipped == self.open_gap, "missed without a gap, repeated, or a wrong gap"
                self.position, self.open_gap = event.seq, 0

    def is_idle(self):
        connection = self.connection
        return not (connection.to_server or connection.to_client or self.conversation.needs_retry)


class ConversationModel(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.rooms = defaultdict(Room)
        self.users = [User(user_id, self.rooms) for user_id in USERS]
        self.numbers = itertools.count()
        for user in self.users:
            user.requested.append(user.conversation.join("red"))

    user_index = st.integers(0, len(USERS) - 1)

    def connected(self, user_index):
        user = self.users[user_index]
        if user.connection is None:
            user.connect()
        return user

    @rule(user_index=user_index, times=st.integers(1, 3))
    def post(self, user_index, times):
        user = self.users[user_index]
        for _ in range(times):
            content = f"{user.conversation.user_id} {next(self.numbers)}"
            request_id = user.conversation.post(content)
            user.posts[request_id] = content
            user.requested.append(request_id)

    @rule(user_index=user_index, room=st.sampled_from(ROOMS))
    def join(self, user_index, room):
        user = self.users[user_index]
        user.requested.append(user.conversation.join(room))

    @rule(user_index=user_index)
    def leave(self, user_index):
        user = self.users[user_index]
        user.requested.append(user.conversation.leave())

    @rule(user_index=user_index)
    def query(self, user_index):
        user = self.users[user_index]
        request_id = user.conversation.query(lambda request_id: ReadHistory(request_id=request_id))
        user.lookups = [*getattr(user, "lookups", []), request_id]

    @rule(user_index=user_index)
    def send(self, user_index):
        self.connected(user_index).send()

    @rule(user_index=user_index, times=st.integers(1, 6))
    def serve(self, user_index, times):
        connection = self.connected(user_index).connection
        for _ in range(min(times, len(connection.to_server))):
            connection.handle()

    @rule(user_index=user_index, times=st.integers(1, 6))
    def receive(self, user_index, times):
        user = self.connected(user_index)
        for _ in range(min(times, len(user.connection.to_client))):
            user.receive()

    @rule(user_index=user_index, rounds=st.integers(1, 8))
    def run_rounds(self, user_index, rounds):
        user = self.connected(user_index)
        for _ in range(rounds):
            user.send()
            while user.connection.to_server:
                user.connection.handle()
            while user.connection.to_client:
                user.receive()

    @rule(user_index=user_index, refusal=st.sampled_from(TRANSIENT))
    def refuse_temporarily(self, user_index, refusal):
        connection = self.connected(user_index).connection
        if connection.to_server:
            connection.handle(refusal)

    @rule(user_index=user_index)
    def retry(self, user_index):
        self.users[user_index].conversation.retry()

    @rule(user_index=user_index)
    def cut(self, user_index):
        if self.users[user_index].connection is not None:
            self.users[user_index].cut()

    @rule()
    def kill(self):
        for user in self.users:
            if user.connection is not None:
                user.cut()

    @rule(room=st.sampled_from(ROOMS))
    def close_a_room(self, room):
        for connection in list(self.rooms[room].members):
            connection.close_room()

    @rule(user_index=user_index)
    def close_late(self, user_index):
        """The room failed before the commands in flight; its former member is notified only now."""
        connection = self.users[user_index].connection
        if connection is not None and connection.room_id is None and connection.is_asked_to_join():
            connection.tell(refusals.ROOM_CLOSED.as_error())

    @precondition(lambda self: any(room.stored for room in self.rooms.values()))
    @rule(room=st.sampled_from(ROOMS), keep=st.integers(0, 3))
    def prune(self, room, keep):
        pruned = self.rooms[room]
        pruned.pruned = max(pruned.pruned, len(pruned.stored) - keep)

    @invariant()
    def each_post_is_stored_once_and_in_order(self):
        for user in getattr(self, "users", []):
            order = {content: n for n, content in enumerate(user.posts.values())}
            for room in self.rooms.values():
                mine = [order[m.content] for m in room.stored if m.user_id == user.conversation.user_id]
                assert mine == sorted(set(mine))

    def teardown(self):
        if not hasattr(self, "users"):
            return
        for user in self.users:
            if user.connection is None:
                user.connect()
        for _ in range(1000):
            for user in self.users:
                user.send()
                while user.connection.to_server:
                    user.connection.handle()
                while user.connection.to_client:
                    user.receive()
                user.conversation.retry()
            if all(user.is_idle() and not user.send() for user in self.users):
                break
        else:
            raise AssertionError("the conversation never becomes idle")
        for user in self.users:
            lookups = getattr(user, "lookups", [])
            assert [id_ for id_ in user.answered if id_ not in lookups] == user.requested
            assert sorted(id_ for id_ in user.answered if id_ in lookups) == sorted(lookups)
            assert user.conversation.unanswered == 0
            if user.conversation.room_id is not None:
                assert user.position + 3 * user.open_gap == self.rooms[user.conversation.room_id].last


TestConversationModel = ConversationModel.TestCase
TestConversationModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
