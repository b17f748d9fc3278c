"""Crashes injected into actors, observed by clients over real sockets."""

import logging

import pytest

from chat_actors.chat import Limits, RoomActor, SessionActor, Storage
from chat_actors.chat.room_messages import PostToRoom
from chat_actors.chat.session import Frame
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts
from tests.conformance.conftest import Chat
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio


class FragileRoom(RoomActor):
    def take_post(self, message: PostToRoom) -> None:
        if message.content == "boom":
            raise ValueError("the room was asked to crash")
        super().take_post(message)


class FragileSession(SessionActor):
    def on_delivery(self, message: Frame) -> None:
        if "session boom" in message.text:
            raise ValueError("the session was asked to crash")
        super().on_delivery(message)


@pytest.fixture
async def chat(protocol, caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors.kernel")
    settings = Settings(limits=Limits(registrations=0))
    app = create_app(
        settings, on_failure=fail_test, storage=Storage(MemoryAccounts()), room=FragileRoom, session=FragileSession
    )
    async with LiveServer(app) as server:
        chat = Chat(protocol, server)
        try:
            yield chat
        finally:
            await chat.aclose()


async def test_crashed_room_restarts_with_its_members(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "general")
    bob = await (await chat.client()).log_in("bob", keys[1], "general")
    await alice.receive()
    text = await alice.error(type="chat_message", content="boom")
    assert text == "The room failed on this message. It was not delivered; send it again."
    await alice.send(type="chat_message", content="after")
    assert (await bob.receive())["content"] == "after"
    assert (await alice.receive())["content"] == "after"


async def test_crashed_session_is_closed_with_1011(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "general")
    bob = await (await chat.client()).log_in("bob", keys[1], "general")
    await alice.receive()
    await bob.peer.send_text("session boom")
    assert (await bob.peer.receive_close())[0] == 1011
    assert (await alice.receive())["type"] == "user_left"
    assert (await alice.ask(type="chat_message", content="still here"))["content"] == "still here"
