"""The connection of a chat and its failures, with a model of a server instead of sockets."""

import asyncio
import contextlib
import gc
import itertools
from collections import Counter, defaultdict

import pytest

from chat_actors.client import (
    AccessRefused,
    Backoff,
    ChatMessage,
    ConnectionLost,
    Conversation,
    Reconnected,
    Reconnecting,
    join_timers,
)
from chat_actors.client.chat import Chat
from chat_actors.client.chat_connection import ChatConnection
from chat_actors.protocol import Authenticate, Join, encode, messages, refusals
from tests.chat.rig import KEY
from tests.client.model_server import Connection, Room
from tests.patience import PATIENCE

pytestmark = pytest.mark.anyio
WRONG_KEY = refusals.Refusal("invalid_signature", "Invalid signature")


class ModelServer:
    """Makes connections to a model of a server. `refusals` are the next answers to commands of a class.

    `unanswered` is how many of its commands have no answer at all."""

    def __init__(self):
        self.rooms = defaultdict(Room)
        self.refusals = defaultdict(list)
        self.unanswered = Counter()
        self.sockets = []

    async def open(self):
        self.sockets.append(ModelSocket(self))
        return self.sockets[-1]

    def chat(self, **options):
        ids = itertools.count()
        conversation = Conversation("ann", KEY, new_id=lambda: str(next(ids)))
        options.setdefault("reconnect", True)
        return Chat(ChatConnection("ws://test", conversation, self.open, lambda: Backoff(lambda: 0.0), **options))

    def cut(self):
        self.sockets[-1].cut()

    def tell(self, message):
        self.sockets[-1].tell(message)


class ModelSocket:
    """A connection whose commands are answered at once."""

    def __init__(self, server):
        self._server = server
        self._connection = Connection(server.rooms, "ann")
        self._texts = asyncio.Queue()

    async def send(self, text):
        self._connection.to_server.append(text)
        command = self._connection.next_command()
        if self._server.unanswered[type(command)]:
            self._server.unanswered[type(command)] -= 1
            self._connection.to_server.popleft()
        elif answers := self._server.refusals[type(command)]:
            self._connection.refuse(answers.pop(0), is_named=True)
        else:
            self._connection.handle()
        while self._connection.to_client:
            self._texts.put_nowait(self._connection.to_client.popleft())

    async def receive(self):
        text = await self._texts.get()
        if text is None:
            raise ConnectionLost("ws://test", "the connection broke")
        return text

    def tell(self, message):
        self._texts.put_nowait(encode(message))

    def cut(self):
        self._connection.leave_all()
        self._texts.put_nowait(None)

    async def aclose(self):
        pass


@pytest.fixture
def server():
    return ModelServer()


async def until(room, kind):
    async with asyncio.timeout(PATIENCE):
        async for event in room.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the stream ended")


async def test_refused_login_on_reconnect_ends_all_rooms(server):
    async with server.chat() as chat, chat.room("red") as red, chat.room("blue") as blue:
        server.refusals[Authenticate].append(WRONG_KEY)
        server.cut()
        for room in (red, blue):
            with pytest.raises(AccessRefused, match="Invalid signature"):
                await until(room, Reconnected)
            with pytest.raises(AccessRefused):
                await room.say("late")
        assert len(server.sockets) == 2


async def test_transient_login_refusal_is_tried_again(server):
    async with server.chat() as chat, chat.room("red") as red:
        server.refusals[Authenticate] += [refusals.INTERNAL_FAILURE] * 2
        server.cut()
        await until(red, Reconnected)
        assert len(server.sockets) == 4


async def test_refused_rejoin_ends_its_room_alone(server):
    banned = refusals.Refusal("banned", "You are banned.")
    async with server.chat() as chat, chat.room("red") as red, chat.room("blue") as blue:
        server.refusals[Join].append(banned)  # of the first room
        server.cut()
        with pytest.raises(Exception, match="out of the room red: You are banned"):
            await until(red, Reconnected)
        await until(blue, Reconnected)
        assert (await blue.say("still here")).seq == 3
        async with chat.room("red") as again:
            assert (await again.say("admitted")).seq == 3


async def test_room_that_tries_again_delays_no_other(server):
    async with server.chat() as chat, chat.room("red") as red, chat.room("blue") as blue:
        server.refusals[Join] += [refusals.ROOM_FAILED] * 30  # of the first room
        server.cut()
        await until(red, Reconnecting)
        await blue.say("not delayed")
        assert (await until(blue, ChatMessage)).content == "not delayed"
        await red.say("in again")
        await until(red, Reconnected)
        assert server.refusals[Join] == []


async def test_unread_events_survive_the_connection(server):
    async with server.chat() as chat, chat.room("red") as red:
        for n in range(5):
            await red.say(str(n))
        server.cut()
        async with asyncio.timeout(PATIENCE):
            assert [(await red.receive_message()).content for _ in range(5)] == ["0", "1", "2", "3", "4"]


async def test_reader_of_the_chat_is_told_of_the_end(server):
    """Another connection is opened by the use of a room, not by the reader."""
    async with server.chat(reconnect=False) as chat:
        reading = asyncio.create_task(chat.receive())  # connects
        async with asyncio.timeout(PATIENCE):
            await chat.room("red").join()
        assert len(server.sockets) == 1
        server.cut()
        with pytest.raises(ConnectionLost):
            await reading
        with pytest.raises(ConnectionLost):
            await chat.receive()
        await chat.room("red").join()
        again = asyncio.create_task(chat.receive())
        await asyncio.sleep(0)
        assert not again.done()
    with pytest.raises(ConnectionLost, match="was closed"):
        await again


async def test_unread_messages_to_the_user_outlive_the_connection(server):
    async with server.chat(reconnect=False) as chat:
        await chat.room("red").join()
        server.tell(messages.Pong("unread"))
        server.cut()
        async with asyncio.timeout(PATIENCE):
            while len(server.sockets) == 1:
                with contextlib.suppress(ConnectionLost, ValueError):  # until the end has ended the first room
                    await chat.room("red").join()
                await asyncio.sleep(0)
            server.tell(messages.Pong("later"))
            assert [await chat.receive() for _ in range(2)] == [messages.Pong("unread"), messages.Pong("later")]


async def test_join_without_an_answer_is_sent_again(server, monkeypatch):
    monkeypatch.setattr(join_timers, "JOIN_TIMEOUT", 0.01)
    async with server.chat() as chat:
        server.unanswered[Join] = 2
        async with asyncio.timeout(PATIENCE), chat.room("red") as red:
            assert server.unanswered[Join] == 0
            assert (await red.say("in the room")).seq == 3
        assert chat._connection._joins._timers == {}


async def test_join_refused_after_its_caller_gave_up_is_silent(server):
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with server.chat() as chat:
        await chat.room("red").join()
        server.refusals[Join].append(refusals.Refusal("banned", "You are banned."))
        joining = asyncio.create_task(chat.room("blue").join())
        await asyncio.sleep(0)
        joining.cancel()
        await asyncio.wait({joining})
        del joining
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(ValueError):  # until the refusal has ended the room
                    await chat.room("blue").join()
                    break
                await asyncio.sleep(0)
    gc.collect()
    assert reported == []


@pytest.mark.parametrize("turns", range(6))
async def test_close_at_the_moment_of_a_failure_ends(server, turns):
    async with server.chat() as chat:
        await chat.room("red").join()
        server.cut()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await chat.aclose()


async def test_room_opened_while_offline_is_joined_later(server):
    """A room that is opened while the connection is being restored is joined on the next one."""
    async with server.chat() as chat, chat.room("red") as red:
        server.refusals[Authenticate] += [refusals.INTERNAL_FAILURE] * 3
        server.cut()
        await until(red, Reconnecting)
        async with asyncio.timeout(PATIENCE), chat.room("blue") as blue:
            assert (await blue.say("hello")).seq == 3
