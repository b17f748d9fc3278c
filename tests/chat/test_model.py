"""Random commands, faults and crashes of many sessions in several rooms, compared with a model of each client.

A step sends commands of several clients at once, with at most one fault on the way, and waits until all is done. The
order in which a room handles commands of different sessions is then open; the log of each room tells it.
"""

import asyncio
import itertools
import logging
from collections import Counter
from datetime import timedelta

import anyio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from chat_actors.chat import Enabled, Extension, Extensions, events
from chat_actors.chat.room_messages import ROOMS as ROOM_ACTORS
from chat_actors.identity import sign
from chat_actors.kernel.testing import RunningSystem, VirtualEventLoop, settle
from chat_actors.storage import Retention
from tests.chat.model_checks import check_answers, check_outcomes, check_posts, check_presence, check_server
from tests.chat.model_client import Log, ModelClient
from tests.chat.model_faults import FaultyJournal, Guarded
from tests.chat.rig import KEY, NO_LIMITS, START, Boom, MemoryChat, virtual_now
from tests.chat.session_model import GUARDED, ROOMS_PER_CONNECTION, Batch

USERS = ("ann", "ben", "cyd")
ROOMS = ("red", "blue", "green", GUARDED)
MOST_CLIENTS = 4
KEPT_MESSAGES = 4
BEYOND = 2**50
"""A `since` above all numbers."""


def templates(kind, times=1, **fields):
    """Commands with all combinations of these values, each `times` times."""
    values = itertools.product((True, False), *fields.values())
    return [dict(zip(("type", "has_id", *fields), (kind, *each), strict=True)) for each in values] * times


SINCE = (None, None, "seen", "seen", "start", "beyond")
COMMANDS = [
    *templates("join", room=ROOMS, additional=(True, True, False), since=SINCE),
    *templates("chat_message", room=ROOMS, has_client_msg_id=(True, False), retries=(0, 0, 0, 1, 2, 3)),
    *templates("chat_message", room=(None,), has_client_msg_id=(True, False), retries=(0, 0, 0, 1, 2, 3), times=2),
    *templates("switch_room", room=ROOMS, times=2),
    *templates("leave", room=(None, *ROOMS), times=2),
    *templates("authenticate", user=USERS),
    *templates("nonsense"),
]
FAULTS = ("crash", "commit", "missed", "page", "explode", "close", "ban", "stop", "fail", "disconnect")
CLIENT, USER, ROOM = st.integers(0, MOST_CLIENTS - 1), st.sampled_from(USERS), st.sampled_from(ROOMS)


class ChatModel(RuleBasedStateMachine):
    """A chat without a journal, the clients, and the logs of the rooms."""

    def make_journal(self):
        return None

    @initialize()
    def begin(self):
        logging.getLogger("chat_actors").setLevel(logging.CRITICAL + 1)
        Guarded.banned, Guarded.explodes, Guarded.newest = set(), False, None
        self.clients, self.connected, self.requests, self.posted = [], 0, 0, 0
        self.client_msg_ids = []
        self.journal = self.make_journal()
        self.logs = {room: Log(room, has_journal=self.journal is not None) for room in ROOMS}
        self.events = []
        self.ticks = itertools.count()
        self.loop = VirtualEventLoop()
        self.stop_requested, self.started = asyncio.Event(), asyncio.Event()
        self.main = self.loop.create_task(self.serve())
        self.run(self.started.wait())

    async def serve(self):
        async with RunningSystem() as self.system:
            limits = structs.replace(NO_LIMITS, rooms_per_connection=ROOMS_PER_CONNECTION)
            extension = Extension(name="guard", room_kinds=[Guarded])
            extensions = Extensions([Enabled(extension, extension.settings())])
            self.chat = MemoryChat(self.system, limits, journal=self.journal, extensions=extensions, now=self.now)
            self.system.events.listen(events.MessagePosted, self.events.append)
            for user in USERS:
                (await self.chat.log_in(user)).session.stop()
            await settle(self.system)
            self.started.set()
            await self.stop_requested.wait()

    def now(self):
        """A clock that always goes on: without a journal, it gives a room that opens again its first number."""
        return virtual_now() + timedelta(milliseconds=next(self.ticks))

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def teardown(self):
        if hasattr(self, "main"):
            self.stop_requested.set()
            self.run(self.main)
            self.loop.close()
        logging.getLogger("chat_actors").setLevel(logging.NOTSET)

    # -- the steps --

    @rule(user=USER)
    @precondition(lambda self: len(self.clients) < MOST_CLIENTS)
    def connect(self, user):
        self.connected += 1
        self.clients.append(ModelClient(f"{user}-{self.connected}", self.run(self.chat.log_in(user)), user))

    @rule()
    @precondition(lambda self: Guarded.banned)
    def pardon(self):
        Guarded.banned.clear()

    @rule()
    @precondition(lambda self: self.journal is not None and any(self.logs.values()))
    def remove_old_messages(self):
        self.run(self.journal.prune(Retention(keep_messages=KEPT_MESSAGES), START))
        for log in self.logs.values():
            log.first_kept = max(log.first_kept, len(log) - KEPT_MESSAGES)

    @rule(
        commands=st.lists(st.tuples(CLIENT, st.sampled_from(COMMANDS)), min_size=1, max_size=8),
        fault=st.sampled_from(("",) * len(FAULTS) + FAULTS),
        at=st.integers(0, 8),
        room=ROOM,
        user=USER,
        through_mailbox=st.booleans(),
    )
    @precondition(lambda self: self.clients)
    def act(self, commands, fault, at, room, user, through_mailbox):
        if fault == "explode":
            commands = commands[:5]  # more crashes close the room
        if fault in ("missed", "page"):  # with posts, it would be open whether there is anything to read
            commands = [each for each in commands if each[1]["type"] != "chat_message"]
        self.batch = Batch(self.logs, self.journal is not None, frozenset(Guarded.banned), fault)
        self.before = self.members()
        for client in self.clients:
            client.begin_step()
        self.run(self.send_all(commands, min(at, len(commands)), room, user, through_mailbox))
        self.check()

    async def send_all(self, commands, at, room, user, through_mailbox):
        await self.request_challenges({self.pick(number) for number, one in commands if one["type"] == "authenticate"})
        self.inject(self.batch.fault)
        for n, (number, template) in enumerate([*commands, (0, None)]):
            if n == at:
                self.strike(self.batch.fault, room, user, self.pick(at))
            client = self.pick(number)
            if template is None or client.has_ended:
                continue
            fields = self.make_command(client, template)
            client.session.execute(fields, self.batch)
            if through_mailbox:
                await client.rig.send(**fields)
            else:
                client.rig.deliver(**fields)
        await settle(self.system)
        await anyio.sleep(61)  # more than five crashes in a minute close a room, which checks twice whether it is empty
        await settle(self.system)
        self.inject("")

    def pick(self, number):
        return self.clients[number % len(self.clients)]

    async def request_challenges(self, clients):
        for client in sorted(clients, key=repr):
            client.rig.deliver(type="get_challenge")
            await settle(self.system)
            client.challenge = client.rig.hear()[-1].challenge
            client.session.has_challenge = True

    def inject(self, fault):
        """Make the journal or the room kind fail from now on."""
        Guarded.explodes = fault == "explode"
        if self.journal is not None:
            self.journal.fails = fault

    def strike(self, fault, room, user, client):
        if fault in ("crash", "close"):
            running = self.system.find(ROOM_ACTORS, room)
            for _ in range(0 if running is None else 6 if fault == "close" else 1):
                running.tell(Boom())
        elif fault == "ban":
            Guarded.ban(user)
        elif fault in ("stop", "fail", "disconnect"):
            client.has_ended = True
            ends = {"stop": client.rig.session.stop, "fail": lambda: client.rig.session.tell(Boom())}
            ends.get(fault, client.rig.disconnect)()

    # -- commands --

    def make_command(self, client, template):
        fields = {"type": template["type"]}
        if template["has_id"] or template.get("since"):
            self.requests += 1
            fields["id"] = f"q{self.requests}"
            client.sent[fields["id"]] = fields
        if template.get("room"):
            fields["roomId"] = template["room"]
        match template["type"]:
            case "join":
                fields |= {"userId": client.session.user, **self.make_options(client, template)}
            case "chat_message":
                fields |= self.make_post(template)
            case "authenticate":
                fields |= {"userId": template["user"], "signature": sign(KEY, client.challenge)}
        return fields

    def make_options(self, client, template):
        options = {"additional": True} if template["additional"] else {}
        if template["since"]:
            seen = client.seen.get(template["room"], 0)
            options["since"] = {"seen": seen, "start": 0, "beyond": BEYOND}[template["since"]]
        return options

    def make_post(self, template):
        if template["has_client_msg_id"] and template["retries"] and self.client_msg_ids:
            content = self.client_msg_ids[-template["retries"] :][0]  # sent before, by any user in any room
        else:
            self.posted += 1
            content = str(self.posted)
            if template["has_client_msg_id"]:
                self.client_msg_ids.append(content)
        return {"content": content, **({"clientMsgId": content} if template["has_client_msg_id"] else {})}

    # -- the checks --

    def members(self):
        """The connections in each room: room → user → number, as the clients know it."""
        members = {room: Counter() for room in ROOMS}
        for client in self.clients:
            for room in client.stays:
                members[room][client.user] += 1
        return members

    def check(self):
        added = self.extend_logs()
        check_posts(self.batch, added)
        ended = [client for client in self.clients if client.has_ended]
        for client in self.clients:
            client.receive(self.logs)
        self.clients = [client for client in self.clients if not client.has_ended]
        for client in self.clients:
            client.check_complete(self.logs)
            self.check_session(client)
            check_outcomes(self.batch, client, self.logs)
        check_presence(self.batch, self.clients, ended, self.before, self.members())

    def check_session(self, client):
        session = client.session
        if self.batch.is_loose:
            if self.batch.fault == "ban":
                assert client.user not in Guarded.banned or GUARDED not in client.stays
            session.current, session.user = client.current, client.user
            session.additional = set(client.stays) - {client.current}
        else:
            check_answers(client)
            assert (client.current, set(client.stays)) == (session.current, session.rooms), client

    def extend_logs(self):
        """Add what was stored in this step. Returns it: (room, user, content)."""
        published = {room: [] for room in ROOMS}
        for event in self.events:
            published[event.room_id].append((event.seq, event.user_id, event.content))
        self.events.clear()
        added = []
        for room, log in self.logs.items():
            new = published[room] if self.journal is None else self.run(self.read_journal(log))
            assert self.batch.fault == "close" or new == published[room]
            log.extend(new)
            assert [entry[0] for entry in log] == sorted({entry[0] for entry in log})
            added += [(room, user, content) for _, user, content in new]
        return added

    async def read_journal(self, log):
        page = await self.journal.page(log.room, after=log.last, limit=1000)
        return [(stored.seq, stored.user_id, stored.content) for stored in page.messages]

    @invariant()
    def server_agrees_with_the_clients(self):
        if hasattr(self, "system"):
            check_server(self.system, self.clients)


class MemoryChatModel(ChatModel):
    """Messages are stored at once."""

    def make_journal(self):
        return FaultyJournal(seconds=0)


class JournaledChatModel(ChatModel):
    """The journal takes time, so that commands meet messages that are not stored yet, and replays meet live ones."""

    def make_journal(self):
        return FaultyJournal(seconds=0.01)


SETTINGS = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestChatModel = ChatModel.TestCase
TestMemoryChatModel = MemoryChatModel.TestCase
TestJournaledChatModel = JournaledChatModel.TestCase
TestChatModel.settings = TestMemoryChatModel.settings = TestJournaledChatModel.settings = SETTINGS
