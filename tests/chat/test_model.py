"""Random commands, disconnects and crashes of many sessions, compared with a model of what each must receive."""

import asyncio
import logging

import anyio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chat_actors.kernel.testing import RunningSystem, VirtualEventLoop, settle
from chat_actors.protocol import messages
from tests.chat.rig import Boom, MemoryChat, SlowJournal, room_of

USERS = ("ann", "ben", "cyd")
ROOMS = ("red", "blue")
ROUTES = st.sampled_from(("mailbox", "delivery"))


class ChatModel(RuleBasedStateMachine):
    """The model: the room of each connection, and the messages that it must receive in the current step."""

    def journal(self):
        return None

    @initialize()
    def begin(self):
        logging.getLogger("chat_actors.kernel").setLevel(logging.CRITICAL)
        self.loop = VirtualEventLoop()
        self.running = None
        self.clients = {}  # name of the connection -> client
        self.user = {}  # name -> user id
        self.room = {}  # name -> room id or None
        self.expected = {}  # name -> the messages that it must receive
        self.connected = 0
        self.posted = 0
        self.last_seq = {}

        async def start():
            self.running = RunningSystem()
            self.system = await self.running.__aenter__()
            self.chat = MemoryChat(self.system, journal=self.journal())

        self.stop_requested = asyncio.Event()
        self.started = asyncio.Event()

        async def main():
            await start()
            self.started.set()
            await self.stop_requested.wait()
            await self.running.__aexit__(None, None, None)

        self.main = self.loop.create_task(main())
        self.run(self.started.wait())

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def teardown(self):
        if hasattr(self, "main"):
            self.stop_requested.set()
            self.run(self.main)
            self.loop.close()
        logging.getLogger("chat_actors.kernel").setLevel(logging.NOTSET)

    # -- the model --

    def members(self, room):
        return [name for name in self.clients if room is not None and self.room[name] == room]

    def users_in(self, room):
        return {self.user[name] for name in self.members(room)}

    def leave(self, name):
        room, self.room[name] = self.room[name], None
        if room is not None and self.user[name] not in self.users_in(room):
            for other in self.members(room):
                self.expected[other].append(messages.user_left(self.user[name], room))

    def join(self, name, room):
        is_new = self.user[name] not in self.users_in(room)
        self.room[name] = room
        self.expected[name].append(messages.joined(self.user[name], room))
        if is_new:
            for other in self.members(room):
                if self.user[other] != self.user[name]:
                    self.expected[other].append(messages.user_joined(self.user[name], room))

    # -- the steps --

    @rule(user=st.sampled_from(USERS))
    @precondition(lambda self: len(self.clients) < 6)
    def connect(self, user):
        self.connected += 1
        name = f"{user}-{self.connected}"
        self.clients[name] = self.run(self.chat.log_in(user))
        self.user[name], self.room[name], self.expected[name] = user, None, []

    def pick(self, number):
        return sorted(self.clients)[number % len(self.clients)]

    async def submit(self, name, route, **command):
        """Send through the session's mailbox, or deliver as the transport does."""
        if route == "mailbox":
            await self.clients[name].send(**command)
        else:
            self.clients[name].deliver(**command)

    @rule(number=st.integers(0, 5), room=st.sampled_from(ROOMS), switch=st.booleans(), route=ROUTES)
    @precondition(lambda self: self.clients)
    def move(self, number, room, switch, route):
        name = self.pick(number)
        self.run(self.submit(name, route, **self.moving(name, room, switch)))

    def moving(self, name, room, switch):
        """Move a connection in the model, and return the command that moves it in the chat."""
        if self.room[name] == room:
            self.expected[name].append(messages.joined(self.user[name], room))
        else:
            self.leave(name)
            self.join(name, room)
        command = {"type": "switch_room"} if switch else {"type": "join", "userId": self.user[name]}
        return {**command, "roomId": room}

    @rule(number=st.integers(0, 5), times=st.integers(1, 4), route=ROUTES)
    @precondition(lambda self: self.clients)
    def post(self, number, times, route):
        name = self.pick(number)
        for _ in range(times):
            self.run(self.submit(name, route, **self.posting(name)))

    def posting(self, name):
        """Post the next message in the model, and return the command that posts it in the chat."""
        self.posted += 1
        if self.room[name] is None:
            self.expected[name].append("Not connected to any room")
        else:
            for other in self.members(self.room[name]):
                self.expected[other].append((self.user[name], self.room[name], str(self.posted)))
        return {"type": "chat_message", "content": str(self.posted)}

    @rule(number=st.integers(0, 5), room=st.sampled_from(ROOMS), times=st.integers(1, 4), route=ROUTES)
    @precondition(lambda self: self.clients)
    def move_and_post_without_waiting(self, number, room, times, route):
        name = self.pick(number)
        commands = [self.moving(name, room, True), *(self.posting(name) for _ in range(times))]

        async def send_all():
            for command in commands:
                await self.submit(name, route, **command)

        self.run(send_all())

    @rule(senders=st.lists(st.integers(0, 5), min_size=2, max_size=8), crash_after=st.none() | st.integers(0, 7))
    @precondition(lambda self: self.clients)
    def many_post_in_one_turn(self, senders, crash_after):
        names = [self.pick(number) for number in senders]
        commands = [(name, self.posting(name)) for name in names]

        async def send_all():
            for n, (name, command) in enumerate(commands):
                self.clients[name].deliver(**command)
                if n == crash_after and self.room[name] is not None:
                    room_of(self.clients[name]).tell(Boom())
            await settle(self.system)
            await anyio.sleep(61)

        self.run(send_all())

    @rule(number=st.integers(0, 5))
    @precondition(lambda self: self.clients)
    def send_nonsense(self, number):
        name = self.pick(number)
        self.run(self.clients[name].send(type="nonsense"))
        self.expected[name].append("Unknown message type: nonsense")

    @rule(number=st.integers(0, 5), crash=st.booleans())
    @precondition(lambda self: self.clients)
    def disconnect(self, number, crash):
        name = self.pick(number)
        client = self.clients[name]
        if crash:
            client.session.tell(Boom())
        else:
            client.session.stop()
        self.leave(name)
        for book in (self.clients, self.user, self.room, self.expected):
            del book[name]

    @rule(number=st.integers(0, 5))
    @precondition(lambda self: any(self.room.values()))
    def crash_a_room(self, number):
        inside = sorted(name for name in self.clients if self.room[name] is not None)
        room = room_of(self.clients[inside[number % len(inside)]])
        room.tell(Boom())

        # More than five crashes in a minute close a room; another test covers that.
        async def wait_a_minute():
            await settle(self.system)
            await anyio.sleep(61)

        self.run(wait_a_minute())

    @invariant()
    def clients_received_what_the_model_predicts(self):
        if not hasattr(self, "system"):
            return
        self.run(settle(self.system))
        for name, client in self.clients.items():
            assert [self.plain(name, message) for message in client.hear()] == self.expected[name], name
            self.expected[name].clear()
        open_rooms = {room for room in self.room.values() if room is not None}
        tree = {node.path: node for node in self.system.tree()}
        assert {node.path for node in tree["/rooms"].children} == {f"/rooms/room:{room}" for room in open_rooms}
        assert len(tree["/sessions"].children) == len(self.clients)

    def plain(self, name, message):
        match message:
            case messages.ChatMessage():
                key = (name, message.room_id)
                assert message.seq > self.last_seq.get(key, 0)
                self.last_seq[key] = message.seq
                return (message.user_id, message.room_id, message.content)
            case messages.Error():
                return message.message
            case _:
                return message


class JournaledChatModel(ChatModel):
    """The same with a slow journal: the received messages must not depend on it."""

    def journal(self):
        return SlowJournal()


SETTINGS = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestChatModel = ChatModel.TestCase
TestJournaledChatModel = JournaledChatModel.TestCase
TestChatModel.settings = TestJournaledChatModel.settings = SETTINGS
