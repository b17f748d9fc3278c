"""`limits.content_chars` holds for every post: of users, bots, services, room kinds and webhooks."""

import logging
from typing import ClassVar

import msgspec
import pytest

from chat_actors import Bot, Command, Extension, Message, RoomKind, Service, command
from chat_actors.extensions.webhooks import extension as webhooks
from chat_actors.testing import MemoryServer, on_virtual_time
from tests.chat.rig import NO_LIMITS

LIMITS = msgspec.structs.replace(NO_LIMITS, content_chars=10)
TOKEN = "a token of sixteen or more"


class Repeat(Command, frozen=True, tag="repeat"):
    text: str
    times: int
    whose: str = "service"


class Repeated(Message, frozen=True, tag="repeated"):
    problem: str


class Speaker(Service):
    @command()
    async def repeat(self, caller, repeat: Repeat) -> Repeated:
        refusal = await self.say("den", repeat.text * repeat.times, name="speaker")
        return Repeated(refusal.code if refusal else "")


class Parrot(Bot):
    name = "parrot"
    rooms = ("den",)
    refused: ClassVar[list[tuple[str, str]]] = []

    async def on_message(self, room_id, message):
        self.post(room_id, message.content * (3_000_000 if message.content == "much" else 2))

    async def on_refused(self, room_id, code, text):
        self.refused.append((code, text))


class Echo(RoomKind):
    """Says what a user posts again, twice, and appends a mark to what is posted."""

    rooms = "echo*"

    async def on_post(self, user_id, content):
        return content + "!"

    async def on_posted(self, user_id, content):
        try:
            self.room.say(content * 2, name="echo")
        except ValueError as error:
            self.room.say(str(error)[:9], name="echo")


extension = Extension(name="sizes", services=[Speaker, Parrot], room_kinds=[Echo])


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


def contents(client):
    return [message["content"] for message in client.hear() if message["type"] == "chat_message"]


@pytest.mark.parametrize("journal", [True, False])
def test_user_may_not_post_more(journal):
    @on_virtual_time
    async def run():
        async with MemoryServer(limits=LIMITS, journal=journal) as server:
            ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
            ann.hear()
            for content in ("é" * 10, "x" * 11):
                await ann.send("chat_message", content=content, id="q")
            error = [message for message in ann.hear() if message["type"] == "error"]
            assert [(each["code"], each["id"]) for each in error] == [("content_too_long", "q")]
            assert contents(ben) == contents(cyd) == ["é" * 10]

    run()


@on_virtual_time
async def test_service_gets_the_refusal():
    async with MemoryServer(extension, limits=LIMITS) as server:
        ann = await server.connect("ann", room="den")
        for times, problem in ((10, ""), (11, "content_too_long"), (3_000_000, "content_too_long")):
            await ann.send("repeat", text="x", times=times)
            assert ann.expect("repeated")["problem"] == problem


@on_virtual_time
async def test_bot_is_told_that_its_post_is_refused():
    Parrot.refused.clear()
    async with MemoryServer(extension, limits=LIMITS) as server:
        ann = await server.connect("ann", room="den")
        for content in ("hello", "hello!", "much"):
            await ann.say(content)
        assert contents(ann) == ["hello", "hellohello", "hello!", "much"]
        assert Parrot.refused == [("content_too_long", "content must be at most 10 characters")] * 2


@on_virtual_time
async def test_room_kind_can_make_no_longer_post():
    async with MemoryServer(extension, limits=LIMITS) as server:
        ann = await server.connect("ann", room="echo")
        await ann.say("x" * 10)
        assert ann.expect("error")["code"] == "content_too_long"
        await ann.say("four")
        assert contents(ann) == ["four!", "four!four!"]
        await ann.say("seven..")
        assert contents(ann) == ["seven..!", "content m"]


@on_virtual_time
async def test_webhook_is_answered_with_413():
    async with MemoryServer(webhooks, settings={"webhooks": {"tokens": {"ci-bot": TOKEN}}}, limits=LIMITS) as server:
        for length, status in ((10, 200), (11, 413), (60_000, 413)):
            body = msgspec.json.encode({"roomId": "den", "content": "x" * length})
            headers = {"Authorization": f"Bearer {TOKEN}"}
            answer = await server.http("POST", "/webhooks/say", body, headers=headers)
            assert answer.status == status
        assert answer.json == {"error": "content must be at most 10 characters", "code": "content_too_long"}


@on_virtual_time
async def test_frame_size_bounds_posts_without_a_limit_of_their_own():
    """A user cannot post more than fits into a frame, so nor can a bot: it would evict all readers."""
    limits = msgspec.structs.replace(NO_LIMITS, content_chars=0)
    async with MemoryServer(extension, limits=limits) as server:
        ann = await server.connect("ann", room="den")
        for length, problem in ((65_536, ""), (65_537, "content_too_long")):
            await ann.send("repeat", text="x", times=length)
            assert ann.expect("repeated")["problem"] == problem
