"""A chat in memory, on virtual time: the server's own actors, accounts in memory, and clients without sockets."""

import contextlib
import itertools
from collections import deque
from datetime import UTC, datetime, timedelta

import anyio
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from chat_actors.chat import (
    Admit,
    Closing,
    Enabled,
    Extension,
    Extensions,
    Frame,
    Limits,
    Peer,
    QueueOutbox,
    RoomActor,
    SessionActor,
    Storage,
    start_chat,
)
from chat_actors.chat.room_messages import ListUsers
from chat_actors.client import public_pem
from chat_actors.identity import sign
from chat_actors.kernel import handles
from chat_actors.kernel.testing import settle
from chat_actors.protocol import UnknownMessage, decode_message, messages
from chat_actors.storage import MemoryAccounts, MemoryJournal, Retention

KEY = generate_private_key(65537, 2048)
NO_LIMITS = Limits(
    registrations=0,
    messages_per_second=0,
    rooms_per_minute=0,
    queries_per_second=0,
    connections=0,
    connections_per_ip=0,
    unauthenticated_seconds=0,
)
KEEP_ALL = Retention()
START = datetime(2026, 1, 1, tzinfo=UTC)


class Boom(msgspec.Struct, frozen=True):
    """Crashes an actor."""


class FragileRoom(RoomActor):
    @handles
    def boom(self, message: Boom) -> None:
        raise ValueError("the room was asked to crash")


class FragileSession(SessionActor):
    @handles
    def boom(self, message: Boom) -> None:
        raise ValueError("the session was asked to crash")


class SlowJournal(MemoryJournal):
    """Takes `seconds` for each commit, and raises `fail_with` if set. `commits` are the batches, `reads` the pages."""

    def __init__(self, seconds=0.01, **bounds):
        super().__init__(**bounds)
        self.seconds = seconds
        self.fail_with = None
        self.commits = []
        self.reads = []

    async def commit(self, batch, at):
        await anyio.sleep(self.seconds)
        if self.fail_with is not None:
            raise self.fail_with
        self.commits.append(batch)
        return await super().commit(batch, at)

    async def page(self, room_id, *, after=None, before=None, limit):
        self.reads.append((room_id, after, before))
        return await super().page(room_id, after=after, before=before, limit=limit)


class RigClient:
    """A client of a `MemoryChat`. `received` holds the messages taken from its outbox, oldest first."""

    def __init__(self, outbox):
        self.session = None
        self.outbox = outbox
        self.received = []
        self.unread = deque()  # frames that the session has not accepted yet; on the server, they stay in the socket
        self.is_disconnected = False

    async def send(self, **command):
        """Send through the session's mailbox, as the server does on another ASGI server."""
        await self.session.send(Frame(msgspec.json.encode(command).decode()))

    def deliver(self, **command):
        """Deliver without the mailbox, as the transport does. `resume` repeats frames that the session refused."""
        self.unread.append(Frame(msgspec.json.encode(command).decode()))
        if len(self.unread) == 1:
            self.resume()

    def resume(self):
        while self.unread and (self.session.deliver_nowait(self.unread[0]) or self.session.is_stopped):
            self.unread.popleft()
        if self.is_disconnected and not self.unread:
            self.session.stop()

    def disconnect(self):
        """Close the connection. The session stops after the frames that were delivered before."""
        self.is_disconnected = True
        self.resume()

    def hear(self):
        """Move the messages in the outbox to `received`, and return them."""
        new = []
        for text in self.outbox.take_all():
            with contextlib.suppress(UnknownMessage):  # a message of an extension, which clients skip
                new.append(decode_message(text))
        self.received += new
        return new


def virtual_now():
    return START + timedelta(seconds=anyio.current_time() % 1e6)


class MemoryChat:
    """All actors of a chat on a running actor system."""

    def __init__(
        self,
        system,
        limits=NO_LIMITS,
        room=FragileRoom,
        journal=None,
        retention=KEEP_ALL,
        extensions=None,
        now=virtual_now,
    ):
        self.system = system
        self.accounts = MemoryAccounts()
        self.journal = journal
        self.limits = limits
        self.chat = start_chat(
            system,
            storage=Storage(self.accounts, self.journal, retention),
            limits=limits,
            now=now,
            random_bytes=lambda size: bytes(next(self._random) % 256 for _ in range(size)),
            room=room,
            session=FragileSession,
            extensions=extensions,
        )
        self._random = itertools.count()

    async def connect(self, address="192.0.2.1"):
        client = RigClient(QueueOutbox(self.limits.backlog_bytes))
        session = await self.chat.gate.ask(Admit(Peer(address, client.outbox, client.resume)), timeout=5)
        if isinstance(session, Closing):
            return session
        client.session = session.ref
        self.system.start_task(session.run)
        return client

    async def log_in(self, user_id, room=None):
        client = await self.connect()
        await client.send(type="register", userId=user_id, publicKey=public_pem(KEY))
        await client.send(type="get_challenge")
        await settle(self.system)
        challenge = client.hear()[-1].challenge
        await client.send(type="authenticate", userId=user_id, signature=sign(KEY, challenge))
        if room is not None:
            await client.send(type="join", userId=user_id, roomId=room)
        await settle(self.system)
        client.hear()
        return client


def chat_with(system, *extensions, **options):
    """A chat with these extensions and their default settings."""
    enabled = [Enabled(extension, extension.settings()) for extension in extensions]
    return MemoryChat(system, extensions=Extensions(enabled), **options)


def chat_of_kinds(system, *kinds, **options):
    """A chat with these room kinds, each of an extension of its own."""
    extensions = [Extension(name=f"kind{n}", room_kinds=[kind]) for n, kind in enumerate(kinds)]
    return chat_with(system, *extensions, **options)


def room_of(client):
    """The client's current room."""
    membership = client.session._cell.actor._memberships.current
    return None if membership is None else membership.room


async def users_in(client):
    """The users in the client's current room."""
    return (await room_of(client).ask(ListUsers(), timeout=1)).users


async def clients_in(chat, room, *names):
    clients = [await chat.log_in(name, room) for name in names]
    for client in clients:
        client.hear()
    return clients


def contents(received):
    return [message.content for message in received if isinstance(message, messages.ChatMessage)]


def summaries(received):
    """The contents of chat messages, and the class names of other messages."""
    return [getattr(message, "content", type(message).__name__) for message in received]


def seqs(received):
    return [message.seq for message in received if isinstance(message, messages.ChatMessage)]


def errors(received):
    return [(message.code, message.request_id) for message in received if isinstance(message, messages.Error)]
