"""The queue between a WebSocket and an ASGI app."""

import asyncio

import pytest

from chat_actors.server.transport.inbound import Inbound

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}


def text(value):
    return {"type": "websocket.receive", "bytes": None, "text": value}


async def test_the_first_event_is_the_connect():
    assert await Inbound(10).get() == CONNECT


async def test_nothing_is_taken_before_the_app_has_asked():
    inbound = Inbound(10)
    assert not inbound.text("too early")
    inbound.ask()
    assert await inbound.get() == CONNECT
    assert not inbound.text("still too early: it has asked for no message")
    inbound.ask()
    assert inbound.text("now")
    assert inbound.has_unread
    assert await inbound.get() == text("now")
    assert not inbound.has_unread


async def test_text_and_bytes_are_told_apart_also_when_empty():
    inbound = Inbound(10)
    await inbound.get()
    inbound.ask()
    assert inbound.text("")
    assert inbound.binary(b"")
    assert await inbound.get() == text("")
    assert await inbound.get() == {"type": "websocket.receive", "bytes": b"", "text": None}


async def test_what_is_over_the_capacity_is_refused_until_there_is_room():
    inbound = Inbound(2)
    await inbound.get()
    inbound.ask()
    assert [inbound.text("1"), inbound.text("2"), inbound.text("3")] == [True, True, False]
    await inbound.get()
    assert inbound.text("3")
    assert [await inbound.get(), await inbound.get()] == [text("2"), text("3")]


async def test_there_is_room_for_one_message_at_least():
    inbound = Inbound(0)
    await inbound.get()
    inbound.ask()
    assert [inbound.text("1"), inbound.text("2")] == [True, False]


async def test_the_end_needs_no_room_comes_last_and_stays():
    inbound = Inbound(1)
    await inbound.get()
    inbound.ask()
    inbound.text("last words")
    inbound.ended(4001)
    inbound.ended(1006)
    assert await inbound.get() == text("last words")
    for _ in range(3):
        assert await inbound.get() == {"type": "websocket.disconnect", "code": 4001}


@pytest.mark.parametrize("news", ["message", "end"])
async def test_who_waits_is_woken(news):
    inbound = Inbound(10)
    await inbound.get()
    inbound.ask()
    waiting = asyncio.create_task(inbound.get())
    await asyncio.sleep(0)
    if news == "message":
        inbound.text("hello")
        assert await waiting == text("hello")
    else:
        inbound.ended(1000)
        assert await waiting == {"type": "websocket.disconnect", "code": 1000}
