"""`connect` and `Room` against a real server."""

import asyncio
import logging
import random

import pytest

from chat_actors import Command, Extension, Message, Refused, Service, command
from chat_actors.chat import Limits, Storage
from chat_actors.client import (
    Backoff,
    ChatMessage,
    CommandRefused,
    ConnectionLost,
    Gap,
    Identity,
    Joined,
    Reconnected,
    Reconnecting,
    RemovedFromRoom,
    TooMuchUnsent,
    Unanswered,
    UserJoined,
    connect,
    generate_key,
)
from chat_actors.extensions.moderation import Kick, Moderation
from chat_actors.server.app import create_app
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from tests.client.cable import Cable
from tests.patience import PATIENCE
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio
NO_LIMITS = Limits(registrations=0, messages_per_second=0, rooms_per_minute=0)
KEY = generate_key(2048)


class Roll(Command, frozen=True, tag="roll"):
    sides: int = 6


class Rolled(Message, frozen=True, tag="rolled"):
    result: int


class Never(Command, frozen=True, tag="never"):
    """Is never answered."""


class Shout(Command, frozen=True, tag="shout"):
    text: str


class Shouted(Message, frozen=True, tag="shouted"):
    text: str


class Dice(Service):
    @command()
    def roll(self, caller, roll: Roll) -> Rolled:
        if roll.sides < 2:
            raise Refused("too_few_sides", "A die has at least two sides.")
        return Rolled(roll.sides)

    @command()
    def never(self, caller, never: Never) -> None:
        self.context.answer_later()

    @command()
    def shout(self, caller, shout: Shout) -> None:
        caller.tell(Shouted(shout.text.upper()))


DICE = Extension(name="dice", services=[Dice])


class AnotherRolled(Message, frozen=True, tag="rolled"):
    pass


@pytest.fixture
async def server():
    storage = Storage(MemoryAccounts(), MemoryJournal(room_messages=20))
    server_settings = ServerSettings(extensions=(f"{__name__}:DICE",))
    app = create_app(Settings(server=server_settings, limits=NO_LIMITS), on_failure=fail_test, storage=storage)
    async with LiveServer(app) as server:
        yield server


def connect_as(port, user_id, **options):
    quick = lambda: Backoff(random.Random(1).random, first=0.02, longest=0.05)  # noqa: E731
    return connect(f"ws://127.0.0.1:{port}", Identity(user_id, KEY), backoff=quick, **options)


async def first(events, kind):
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError("the stream ended")


async def test_iteration_joins_and_yields_messages_only(server):
    async with connect_as(server.port, "alice") as alice, connect_as(server.port, "bobby") as bobby:
        hers = alice.room("general")
        await hers.join()
        async with bobby.room("general") as his:
            receipt = await his.say("hello")
            async with asyncio.timeout(PATIENCE):
                async for message in hers:
                    assert (message.user_id, message.content, message.seq) == ("bobby", "hello", receipt.seq)
                    break


async def test_events_are_typed_and_in_order(server):
    async with connect_as(server.port, "alice") as alice, connect_as(server.port, "bobby") as bobby:
        async with alice.room("general") as hers, bobby.room("general") as his:
            await his.say("hello")
            async with asyncio.timeout(PATIENCE):
                received = [await hers.receive() for _ in range(3)]
        assert [type(event) for event in received] == [Joined, UserJoined, ChatMessage]


async def test_since_resumes_after_the_last_known_message(server):
    async with connect_as(server.port, "bobby") as bobby, bobby.room("general") as his:
        async with connect_as(server.port, "alice") as alice, alice.room("general") as hers:
            known = (await his.say("known")).seq
            assert (await hers.receive_message()).seq == known
        await his.say("meanwhile")
        async with connect_as(server.port, "alice") as alice, alice.room("general", since=known) as hers:
            await his.say("afterwards")
            async with asyncio.timeout(PATIENCE):
                assert [(await hers.receive_message()).content for _ in range(2)] == ["meanwhile", "afterwards"]


async def test_cancelling_one_join_keeps_the_other(server):
    """Two tasks wait for the same join; cancelling one does not cancel the join."""
    async with connect_as(server.port, "alice") as chat:
        room = chat.room("general")
        waiting, staying = asyncio.create_task(room.join()), asyncio.create_task(room.join())
        await asyncio.sleep(0)
        waiting.cancel()
        async with asyncio.timeout(PATIENCE):
            assert (await staying).room_id == "general"
        assert waiting.cancelled()


async def test_refused_join_ends_the_room(server):
    async with connect_as(server.port, "alice") as chat:
        with pytest.raises(CommandRefused, match="Room ID"):
            async with chat.room("\n"):
                pass
        room = chat.room("\n")
        for _ in range(2):
            with pytest.raises(CommandRefused, match="Room ID"):
                await room.say("hello")


async def test_missing_server_is_reported_at_first_use():
    async with connect_as(9, "alice") as chat:
        room = chat.room("general")
        with pytest.raises(ConnectionLost, match="is the server up"):
            await room.join()
    with pytest.raises(ConnectionLost, match="is no address"):
        connect("http://[::1", Identity("alice", KEY))


async def test_closing_the_chat_closes_its_rooms(server):
    async with connect_as(server.port, "alice") as chat:
        room, other = chat.room("general"), chat.room("other")
        await other.join()

        async def read():
            return [message.content async for message in room]

        reading = asyncio.create_task(read())
        await room.say("the last")
        while not room._channel._queue.is_empty:  # noqa: ASYNC110 - until the reader has read it
            await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert await reading == ["the last"]
    for use in (other.say("late"), chat.room("new").join()):
        with pytest.raises(ConnectionLost, match="was closed"):
            await use


async def test_with_block_leaves_the_room(server):
    async with (
        connect_as(server.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        alice.room("general") as hers,
    ):
        async with bobby.room("general"):
            await first(hers.events(), UserJoined)
        async with asyncio.timeout(PATIENCE):
            while (await hers.members()).count != 1:
                pass


async def test_reconnect_replays_and_reports_the_gap(server, caplog):
    async with (
        Cable(server.port) as cable,
        connect_as(cable.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        connect_as(cable.port, "alice") as alice_again,
        alice.room("general") as hers,
        alice_again.room("general") as also,
        bobby.room("general") as his,
    ):
        cable.is_broken = True
        cable.cut()
        for n in range(60):  # more than the server stores
            await his.say(str(n))
        cable.is_broken = False
        seen = []
        async with asyncio.timeout(PATIENCE):
            async for event in hers.events():
                seen.append(event)
                if isinstance(event, ChatMessage) and event.content == "59":
                    break
        kinds = [type(event) for event in seen if not isinstance(event, ChatMessage | Joined | UserJoined)]
        assert kinds[0] is Reconnecting
        assert kinds[-2:] == [Reconnected, Gap]
        posted = sum(isinstance(event, ChatMessage) for event in seen)
        lost = sum(event.lost for event in seen if isinstance(event, Gap))
        assert posted + lost == 60
        with caplog.at_level(logging.WARNING):
            async with asyncio.timeout(PATIENCE):
                await also.receive_message()
        assert f"{lost} messages of the room general are missing here" in caplog.text


async def test_extension_command_is_answered(server):
    async with connect_as(server.port, "alice") as chat, chat.room("casino") as room:
        posted, rolled = await asyncio.gather(room.say("rolling"), room.ask(Roll(sides=20), answer=Rolled))
        assert (posted.seq, rolled.result) == (1, 20)
        with pytest.raises(CommandRefused, match="at least two sides") as caught:
            await room.ask(Roll(sides=1), answer=Rolled)
        assert caught.value.code == "too_few_sides"
        with pytest.raises(TypeError, match="'Rolled', which is no Shouted"):
            await room.ask(Roll(), answer=Shouted)
        with pytest.raises(ValueError, match="are both of the type 'rolled'"):
            await room.ask(Roll(), answer=AnotherRolled)
        assert (await room.ask(Roll(sides=4), answer=Rolled)).result == 4


async def test_answer_of_unknown_type_is_an_error(server):
    async with connect_as(server.port, "alice") as chat, chat.room("casino") as room:
        with pytest.raises(TypeError, match="'rolled', which is no Shouted"):
            await room.ask(Roll(), answer=Shouted)


async def test_extension_messages_need_their_class(server):
    """Messages of classes that were not passed to `connect` are skipped."""
    async with (
        connect_as(server.port, "alice", messages=[Shouted]) as alice,
        connect_as(server.port, "bobby") as bobby,
        alice.room("casino") as hers,
        bobby.room("hall") as his,
    ):
        assert await hers.tell(Shout("hey"))
        assert await first(alice.events(), Shouted) == Shouted("HEY")  # without a room, so it is for the user
        assert await his.tell(Shout("hey"))
        await his.say("over")
        async with asyncio.timeout(PATIENCE):
            assert [type(await his.receive()) for _ in range(2)] == [Joined, ChatMessage]
    with pytest.raises(ValueError, match="are both of the type 'rolled'"):
        connect("ws://127.0.0.1:9", Identity("alice", KEY), messages=[Rolled, AnotherRolled])


async def test_disconnect_leaves_a_command_unanswered(server):
    async with Cable(server.port) as cable, connect_as(cable.port, "alice") as chat, chat.room("casino") as room:
        asking = asyncio.create_task(room.ask(Never(), answer=Rolled))
        saying = asyncio.create_task(room.say("afterwards"))
        while room._channel.conversation.unanswered < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        cable.cut()
        with pytest.raises(Unanswered, match="no answer to 'Never': the connection broke; it may have been"):
            await asking
        async with asyncio.timeout(PATIENCE):
            assert (await saying).seq == 1


async def test_cancelled_ask_does_not_block_the_queue(server):
    async with connect_as(server.port, "alice") as chat, chat.room("casino") as room:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await room.ask(Never(), answer=Rolled)
        room._channel.conversation._queue._maximum = 0
        with pytest.raises(TooMuchUnsent):
            await room.ask(Roll(), answer=Rolled)


async def test_kicked_user_gets_removed_from_room():
    server_settings = ServerSettings(extensions=("moderation",))
    settings = Settings(server=server_settings, limits=NO_LIMITS)
    app = create_app(settings, on_failure=fail_test, storage=Storage(MemoryAccounts(), MemoryJournal()))
    async with (
        LiveServer(app) as server,
        connect_as(server.port, "alice") as alice,
        connect_as(server.port, "bobby") as bobby,
        bobby.room("club") as his,
        alice.room("club") as hers,
    ):
        await his.ask(Kick("alice"), answer=Moderation)
        with pytest.raises(RemovedFromRoom, match="out of the room club"):
            await first(hers, ChatMessage)
        for use in (hers.receive(), hers.say("late")):
            with pytest.raises(RemovedFromRoom):
                await use
        async with alice.room("club") as again:
            assert (await again.members()).count == 2
