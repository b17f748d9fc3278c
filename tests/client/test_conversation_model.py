"""A state machine test of `Conversation` against a model of a server, with failures at any moment.

Connections are cut with texts in flight; the server is killed, prunes messages, refuses requests for the moment and
joins for good, closes rooms and removes users. Programs open and close rooms, and stop reading the events of one. The
delivered messages and gaps of each room are compared with everything that was ever stored in it.
"""

import itertools
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chat_actors.protocol import Authenticate, GetChallenge, Hello, Join, Post, ReadHistory, refusals
from tests.client.model_server import BANNED, KICKED, Room
from tests.client.model_user import User

ROOMS = ("red", "blue")
USERS = ("ann", "ben")
TRANSIENT = (refusals.NOT_STORED, refusals.ROOM_FAILED, refusals.TOO_MANY_FRAMES, refusals.BUSY)


class ConversationModel(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.rooms = defaultdict(Room)
        self.users = [User(user_id, self.rooms) for user_id in USERS]
        self.numbers = itertools.count()
        for user in self.users:
            user.connect()
            for room_id in ROOMS:
                user.open_room(room_id, resumes=False)
        self.run_until_idle()

    user_index = st.integers(0, len(USERS) - 1)
    room_id = st.sampled_from(ROOMS)

    def connected(self, user_index):
        user = self.users[user_index]
        if user.connection is None:
            user.connect()
        return user

    # -- the programs --------------------------------------------------------------------------------------------------

    @rule(user_index=user_index, room_id=room_id, times=st.integers(1, 3))
    def post(self, user_index, room_id, times):
        user = self.users[user_index]
        for _ in range(times):
            if room_id in user.open:
                content = f"{user.user_id} {next(self.numbers)}"
                request_id = user.open[room_id].conversation.post(content)
                user.posts[request_id] = content
                user.pending.add(request_id)
                user.open[room_id].requested.append(request_id)

    @rule(user_index=user_index, room_id=room_id)
    def query(self, user_index, room_id):
        user = self.users[user_index]
        if room_id in user.open:
            conversation = user.open[room_id].conversation
            request_id = conversation.query(lambda request_id: ReadHistory(room_id, request_id=request_id))
            user.pending.add(request_id)
            user.open[room_id].requested.append(request_id)

    @rule(user_index=user_index, room_id=room_id, resumes=st.booleans())
    def open_or_close(self, user_index, room_id, resumes):
        user = self.users[user_index]
        if room_id in user.open:
            user.close_room(room_id)
        else:
            user.open_room(room_id, resumes=resumes)

    @rule(user_index=user_index, room_id=room_id)
    def fall_behind_or_catch_up(self, user_index, room_id):
        user = self.users[user_index]
        if room_id in user.open and user.open[room_id].position is not None:
            conversation = user.open[room_id].conversation
            if conversation.is_behind:
                conversation.caught_up()
            else:
                conversation.fall_behind()

    # -- the texts -----------------------------------------------------------------------------------------------------

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

    @rule(user_index=user_index)
    def exchange_all(self, user_index):
        self.exchange(self.connected(user_index))

    @rule(user_index=user_index, room_id=room_id, times=st.integers(1, 3))
    def post_and_exchange(self, user_index, room_id, times):
        """Let the other user receive, or miss, messages in a room where all is well for this one."""
        self.post(user_index, room_id, times)
        self.exchange(self.connected(user_index))

    def exchange(self, user):
        for _ in range(1000):
            if not (user.send() or user.connection.to_server or user.connection.to_client):
                return
            while user.connection.to_server:
                user.connection.handle()
            while user.connection.to_client:
                user.receive()
        raise AssertionError("the conversation never becomes idle")

    # -- failures ------------------------------------------------------------------------------------------------------

    @rule(user_index=user_index, refusal=st.sampled_from(TRANSIENT))
    def refuse_temporarily(self, user_index, refusal):
        connection = self.connected(user_index).connection
        if not isinstance(connection.next_command(), Hello | GetChallenge | Authenticate | None):
            connection.refuse(refusal, is_named=True)

    @rule(user_index=user_index)
    def refuse_without_name(self, user_index):
        connection = self.connected(user_index).connection
        if not isinstance(connection.next_command(), Hello | GetChallenge | Authenticate | None):
            connection.refuse(refusals.TOO_MANY_FRAMES, is_named=False)

    @rule(user_index=user_index)
    def refuse_join_for_good(self, user_index):
        connection = self.connected(user_index).connection
        command = connection.next_command()
        if isinstance(command, Join) and not connection.is_in(command.room_id):
            connection.refuse(BANNED, is_named=True)

    @rule(user_index=user_index)
    def retry(self, user_index):
        user = self.users[user_index]
        for room_id in list(user.retries)[:1]:
            user.retry(room_id)

    @rule(user_index=user_index)
    def cut(self, user_index):
        if self.users[user_index].connection is not None:
            self.users[user_index].cut()

    @rule()
    def kill(self):
        for user in self.users:
            if user.connection is not None:
                user.cut()

    @rule(room_id=room_id)
    def close_a_room(self, room_id):
        for connection in list(self.rooms[room_id].members):
            connection.remove(room_id, refusals.ROOM_CLOSED)

    @rule(user_index=user_index, is_stored=st.booleans())
    def close_at_a_post(self, user_index, is_stored):
        """The room ends on the oldest command, a post, which is never answered."""
        connection = self.connected(user_index).connection
        command = connection.next_command()
        if isinstance(command, Post) and connection.is_in(command.room_id):
            if is_stored:
                connection.handle()
                connection.to_client.pop()  # the answer
            else:
                connection.to_server.popleft()
            self.close_a_room(room_id=command.room_id)

    @rule(user_index=user_index, room_id=room_id)
    def kick(self, user_index, room_id):
        connection = self.users[user_index].connection
        if connection is not None and connection.is_in(room_id):
            connection.remove(room_id, KICKED)

    @rule(user_index=user_index)
    def close_late(self, user_index):
        """The room failed before the commands in flight; its former member is notified only now."""
        connection = self.users[user_index].connection
        command = None if connection is None else connection.next_command()
        if isinstance(command, Join) and not connection.is_in(command.room_id):
            connection.tell(refusals.ROOM_CLOSED.as_error(removed_from=command.room_id))

    @precondition(lambda self: any(room.stored for room in self.rooms.values()))
    @rule(room_id=room_id, keep=st.integers(0, 3))
    def prune(self, room_id, keep):
        pruned = self.rooms[room_id]
        pruned.pruned = max(pruned.pruned, len(pruned.stored) - keep)

    # -- what must hold ------------------------------------------------------------------------------------------------

    @invariant()
    def each_post_is_stored_once_and_in_order(self):
        for user in getattr(self, "users", []):
            order = {content: n for n, content in enumerate(user.posts.values())}
            stored = []
            for room in self.rooms.values():
                mine = [m.content for m in room.stored if m.user_id == user.user_id]
                assert [order[content] for content in mine] == sorted({order[content] for content in mine})
                stored += mine
            for request_id, content in user.posts.items():
                assert (content in stored) >= (request_id in user.stored_posts)
                assert (content in stored) <= (request_id not in user.refused_posts)

    def teardown(self):
        if not hasattr(self, "users"):
            return
        for user in self.users:
            if user.connection is None:
                user.connect()
        self.run_until_idle()
        for user in self.users:
            for room in user.open.values():
                room.conversation.caught_up()
        self.run_until_idle()
        for user in self.users:
            assert user.pending == set()
            members = {room_id for room_id in ROOMS if user.connection.is_in(room_id)}
            assert members == set(user.open)
            for room_id, room in user.open.items():
                assert room.conversation.unanswered == 0
                assert room.position + 3 * room.open_gap == self.rooms[room_id].last

    def run_until_idle(self):
        for _ in range(1000):
            for user in self.users:
                self.exchange(user)
                for room_id in list(user.retries):
                    user.retry(room_id)
            if all(user.is_idle() and not user.send() for user in self.users):
                return
        raise AssertionError("the conversation never becomes idle")


TestConversationModel = ConversationModel.TestCase
TestConversationModel.settings = settings(max_examples=200, stateful_step_count=80, deadline=None)
