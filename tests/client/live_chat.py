"""Helpers for tests of a chat over real sockets."""

import asyncio
import random

from chat_actors.chat import Limits
from chat_actors.client import (
    Backoff,
    ChatMessage,
    Identity,
    connect,
)
from tests.patience import PATIENCE

NO_LIMITS = Limits(registrations=0, messages_per_second=0, rooms_per_minute=0)


def connect_as(port, user_id, key, **options):
    options.setdefault("backoff", lambda: Backoff(random.Random(1).random, first=0.02, longest=0.05))
    return connect(f"ws://127.0.0.1:{port}", Identity(user_id, key), **options)


async def events_until(room, is_last):
    received = []
    async with asyncio.timeout(PATIENCE):
        async for event in room.events():
            received.append(event)
            if is_last(event):
                return received
    raise AssertionError("the stream ended")


def is_message(content):
    return lambda event: isinstance(event, ChatMessage) and event.content == content


def contents(events):
    return [event.content for event in events if isinstance(event, ChatMessage)]
