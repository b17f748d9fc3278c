"""The queue between a WebSocket and an ASGI app."""

import asyncio

import pytest

from chat_actors.server.transport.inbound import Inbound

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}


def text(value):
    return {"type": "websocket.receive", "bytes": None, "text": value}


async def test_first_event_is_the_connect():
    assert await Inbound(10).get() == CONNECT


async def test_message_is_refused_until_the_app_waits():
    """The app must first take the connect event, and then call `receive` again."""
    inbound = Inbound(10)
    assert not inbound.text("too early")
    inbound.ask()
    assert await inbound.get() == CONNECT
    assert not inbound.text("still too early: the app has asked only for the connect event")
    inbound.ask()
    assert inbound.text("now")
    assert inbound.has_unread
    assert await inbound.get() == text("now")
    assert not inbound.has_unread


async def test_empty_text_and_empty_bytes_stay_distinct():
    inbound = Inbound(10)
    await inbound.get()
    inbound.ask()
    assert inbound.text("")
    assert inbound.binary(b"")
    assert await inbound.get() == text("")
    assert await inbound.get() == {"type": "websocket.receive", "bytes": b"", "text": None}


async def test_message_over_capacity_is_refused():
    """It is accepted once the app has taken a message."""
    inbound = Inbound(2)
    await inbound.get()
    inbound.ask()
    assert [inbound.text("1"), inbound.text("2"), inbound.text("3")] == [True, True, False]
    await inbound.get()
    assert inbound.text("3")
    assert [await inbound.get(), await inbound.get()] == [text("2"), text("3")]


async def test_capacity_is_at_least_one_message():
    inbound = Inbound(0)
    await inbound.get()
    inbound.ask()
    assert [inbound.text("1"), inbound.text("2")] == [True, False]


async def test_disconnect_follows_the_queued_messages():
    """It needs no free capacity, its first code is kept, and each further read returns it again."""
    inbound = Inbound(1)
    await inbound.get()
    inbound.ask()
    inbound.text("last")
    inbound.ended(4001)
    inbound.ended(1006)
    assert await inbound.get() == text("last")
    for _ in range(3):
        assert await inbound.get() == {"type": "websocket.disconnect", "code": 4001}


@pytest.mark.parametrize("event", ["message", "end"])
async def test_waiting_reader_receives_the_next_event(event):
    inbound = Inbound(10)
    await inbound.get()
    inbound.ask()
    waiting = asyncio.create_task(inbound.get())
    await asyncio.sleep(0)
    if event == "message":
        inbound.text("hello")
        assert await waiting == text("hello")
    else:
        inbound.ended(1000)
        assert await waiting == {"type": "websocket.disconnect", "code": 1000}
