"""The tools of a service: events, posts, and the encoding of its answers."""

from chat_actors import Extension, Message, Service, command, events, handles
from chat_actors.testing import MemoryServer, on_virtual_time
from tests.chat.counter_kind import Add, errors


@on_virtual_time
async def test_service_listens_to_events_and_posts():
    """It posts in a room without being a member."""

    class Greeter(Service):
        async def on_start(self):
            self.context.listen(events.UserJoined)

        @handles
        async def joined(self, event: events.UserJoined) -> None:
            if event.user_id != "bot:greeter":
                await self.say(event.room_id, f"hello {event.user_id}", name="greeter")

    async with MemoryServer(Extension(name="greeter", services=[Greeter])) as server:
        ann = await server.connect("ann")
        await ann.join("cafe")
        greeting = ann.expect("chat_message")
        assert (greeting["userId"], greeting["content"]) == ("bot:greeter", "hello ann")
        await ann.send("members")
        assert ann.expect("members")["members"] == ["ann"]
        await ann.send("history")
        assert [message["content"] for message in ann.expect("history")["messages"]] == ["hello ann"]


@on_virtual_time
async def test_unencodable_answer_does_not_crash_the_session():
    class Bad(Message, frozen=True, tag="bad"):
        thing: object

    class Broken(Service):
        @command()
        def add(self, caller, add: Add) -> Bad:
            return Bad("half \ud83d" if add.number else object())

    async with MemoryServer(Extension(name="broken", services=[Broken])) as server:
        ann = await server.connect("ann")
        for number in (0, 1):
            await ann.send("add", number=number, id="q")
            assert errors(ann) == [("internal_failure", "q")]
            await server.advance(1)
        assert ann.closing is None
