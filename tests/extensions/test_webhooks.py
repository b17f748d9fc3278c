"""Webhooks over real sockets: deliveries to a real receiver, and messages by real requests."""

import asyncio
import json

import httpx
import pytest
from quart import Quart, request

from chat_actors.chat import Limits, Storage
from chat_actors.client import generate_key
from chat_actors.extensions.webhook_target import WebhooksSettings, signature
from chat_actors.extensions.webhooks import extension
from chat_actors.server.app import EXTENSION_BODY_BYTES, create_app
from chat_actors.server.extension_loading import ExtensionError, load_extensions
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from chat_actors.testing import MemoryServer, on_virtual_time
from tests.conformance.conftest import Client
from tests.patience import PATIENCE
from tests.wire.http1 import open_http1
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio

SECRET = "a secret of sixteen or more"
TOKEN = "a token of sixteen or more"


class Receiver:
    """Records deliveries. Answers with each of `statuses` in turn, then with 200."""

    def __init__(self):
        self.statuses = []
        self.received = []
        self.arrived = asyncio.Event()
        self.app = Quart("receiver", static_folder=None)
        self.app.add_url_rule("/hook", "hook", self.receive, methods=["POST"])

    async def receive(self):
        body = await request.get_data()
        status = self.statuses.pop(0) if self.statuses else 200
        self.received.append((dict(request.headers), body, status))
        self.arrived.set()
        return "", status

    async def wait_for(self, count):
        async with asyncio.timeout(PATIENCE):
            while len(self.received) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.received

    def contents(self):
        return [json.loads(body).get("content") for _, body, status in self.received if status == 200]


@pytest.fixture
async def receiver():
    receiver = Receiver()
    async with LiveServer(receiver.app) as server:
        receiver.url = f"http://127.0.0.1:{server.port}/hook"
        yield receiver


@pytest.fixture(scope="module")
def key():
    return generate_key(2048)


def serve(section):
    settings = Settings(
        server=ServerSettings(extensions=("webhooks",)),
        limits=Limits(registrations=0),
        extensions={"webhooks": section},
    )
    return LiveServer(create_app(settings, on_failure=fail_test, storage=Storage(MemoryAccounts(), MemoryJournal())))


def target(receiver, **fields):
    return {"url": receiver.url, "secret": SECRET, **fields}


async def log_in(server, key, room="den"):
    return await Client(await open_http1(server.port)).log_in("ann", key, room)


async def test_posted_message_is_delivered_signed(receiver, key):
    async with serve({"targets": [target(receiver)]}) as server:
        ann = await log_in(server, key)
        await ann.send(type="chat_message", content="hello ☕")
        ((headers, body, _),) = await receiver.wait_for(1)
        event = json.loads(body)
        assert (event["event"], event["userId"], event["roomId"], event["content"]) == (
            "posted",
            "ann",
            "den",
            "hello ☕",
        )
        assert event["id"] == headers["X-Chat-Delivery"]
        assert headers["X-Chat-Event"] == "posted"
        at = int(headers["X-Chat-Signature"].split(",")[0].removeprefix("t="))
        assert headers["X-Chat-Signature"] == signature(SECRET, at, body)
        await ann.peer.aclose()


async def test_target_receives_its_rooms_and_events_only(receiver, key):
    wanted = target(receiver, rooms=["public-*"], events=["posted", "joined", "registered"])
    async with serve({"targets": [wanted]}) as server:
        ann = await log_in(server, key)
        await ann.send(type="chat_message", content="not this")
        await ann.send(type="switch_room", roomId="public-den")
        await ann.send(type="chat_message", content="this")
        received = await receiver.wait_for(3)
        events = [json.loads(body) for _, body, _ in received]
        assert [event["event"] for event in events] == ["registered", "joined", "posted"]
        assert "address" not in events[0]
        assert events[2]["content"] == "this"
        await ann.peer.aclose()


async def test_failed_delivery_is_retried_in_order(receiver, key):
    """A retry has the same delivery id."""
    receiver.statuses = [500, 429, 200, 503]
    async with serve({"targets": [target(receiver)], "first_pause": 0.01}) as server:
        ann = await log_in(server, key)
        for content in ("one", "two", "three"):
            await ann.send(type="chat_message", content=content)
        received = await receiver.wait_for(6)
        assert receiver.contents() == ["one", "two", "three"]
        ids = [headers["X-Chat-Delivery"] for headers, _, _ in received]
        assert ids[0] == ids[1] == ids[2]
        assert ids[3] == ids[4]
        assert len(set(ids)) == 3
        await ann.peer.aclose()


async def test_permanently_refused_event_is_dropped(receiver, key):
    """The next event is delivered."""
    receiver.statuses = [400, 302]
    async with serve({"targets": [target(receiver)]}) as server:
        ann = await log_in(server, key)
        for content in ("one", "two", "three"):
            await ann.send(type="chat_message", content=content)
        await receiver.wait_for(3)
        assert receiver.contents() == ["three"]
        await ann.peer.aclose()


async def test_unreachable_target_delays_nothing_else(receiver, key):
    """Neither the room nor the other targets wait for it."""
    down = {"url": "http://127.0.0.1:1/", "secret": SECRET}
    async with serve({"targets": [down, target(receiver)], "queue": 100}) as server:
        ann = await log_in(server, key)
        for n in range(30):
            await ann.send(type="chat_message", content=str(n))
        messages = [(await ann.receive())["content"] for _ in range(30)]
        await receiver.wait_for(30)
        assert messages == receiver.contents() == [str(n) for n in range(30)]
        await ann.peer.aclose()


async def test_authorized_request_posts_a_message(key):
    async with serve({"tokens": {"ci-bot": TOKEN}}) as server, httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{server.port}/extensions/webhooks/say"
        ann = await log_in(server, key)
        body = {"roomId": "den", "content": "build failed"}
        answer = await http.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, answer.json()) == (200, {"status": "said"})
        message = await ann.receive()
        assert (message["userId"], message["content"]) == ("bot:ci-bot", "build failed")
        await ann.peer.aclose()


async def test_invalid_request_is_refused(key):
    async with serve({"tokens": {"ci-bot": TOKEN}}) as server, httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{server.port}/extensions/webhooks/say"
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        good = {"roomId": "den", "content": "hello"}
        assert (await http.post(url, json=good)).status_code == 401
        assert (await http.post(url, json=good, headers={"Authorization": "Bearer other"})).status_code == 401
        assert (await http.get(url)).status_code == 405
        assert (await http.post(url + "/x", json=good)).status_code == 404
        for bad in ({"roomId": "den"}, {"roomId": "", "content": "x"}, {"roomId": "den", "content": ""}, [1]):
            assert (await http.post(url, json=bad, headers=authorized)).status_code == 422
        half = b'{"roomId": "den", "content": "\\ud83d"}'
        assert (await http.post(url, content=half, headers=authorized)).status_code == 422
        long = {"roomId": "den", "content": "x" * EXTENSION_BODY_BYTES}
        assert (await http.post(url, json=long, headers=authorized)).status_code == 413


@on_virtual_time
async def test_refusal_of_the_room_answers_409():
    from chat_actors.chat import Extension, Refused, RoomKind

    class Silent(RoomKind):
        rooms = "silent"

        async def on_post(self, user_id, content):
            raise Refused("silence", "This room accepts no messages.")

    settings = {"webhooks": {"tokens": {"ci-bot": TOKEN}}}
    async with MemoryServer(extension, Extension(name="silent", room_kinds=[Silent]), settings=settings) as server:
        body = b'{"roomId": "silent", "content": "hello"}'
        answer = await server.http("POST", "/webhooks/say", body, headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status, answer.json["code"]) == (409, "silence")


@pytest.mark.parametrize(
    "section",
    [
        {"targets": [{"url": "ftp://example.org", "secret": SECRET}]},
        {"targets": [{"url": "https://example.org", "secret": "short"}]},
        {"targets": [{"url": "https://example.org", "secret": SECRET, "events": ["said"]}]},
        {"tokens": {"a b": TOKEN}},
        {"tokens": {"ci-bot": "short"}},
        {"queue": 0},
        {"unknown": 1},
    ],
)
def test_invalid_settings_stop_the_start(section):
    with pytest.raises(ExtensionError, match="cannot use its settings"):
        load_extensions(["webhooks"], {"webhooks": section})


def test_webhook_settings_have_defaults():
    (one,) = load_extensions(["webhooks"], {})
    assert one.enabled.settings == WebhooksSettings()
