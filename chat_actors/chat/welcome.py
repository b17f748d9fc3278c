"""The answer to `hello`: what this server is, and what it offers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import structs

from chat_actors.chat.limits import Limits
from chat_actors.chat.recovery import PAGE_MESSAGES
from chat_actors.protocol import PROTOCOL_PART, Hello, format_timestamp, messages

CORE_FEATURES = ("rooms",)
"""The features of a server without extensions."""


def make_welcome(version: str, extensions: Sequence[str], limits: Limits) -> messages.Welcome:
    """Make the part of the answer that is the same for all clients."""
    return messages.Welcome(
        server="chat_actors",
        version=version,
        protocol=PROTOCOL_PART,
        features=(*CORE_FEATURES, *extensions),
        limits=messages.ClientLimits(
            frame_bytes=limits.frame_bytes,
            content_chars=limits.content_chars,
            messages_per_second=limits.messages_per_second,
            message_burst=limits.message_burst,
            rooms_per_connection=limits.rooms_per_connection,
            page_size=PAGE_MESSAGES,
        ),
        time="",
    )


def answer_hello(hello: Hello, welcome: messages.Welcome, now: datetime) -> messages.Welcome:
    """Make the answer for one client. Its `protocol` is the highest part that both sides know."""
    protocol = min(hello.protocol or PROTOCOL_PART, PROTOCOL_PART)
    return structs.replace(welcome, protocol=protocol, time=format_timestamp(now), request_id=hello.request_id)
