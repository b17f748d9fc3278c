"""The client side of each server's protocol: how to join a room and send a message. No I/O.

A script is a generator: it yields a text to send, or None to send nothing, and is resumed with the server's next text.
A join script returns when the client has joined its room.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import msgspec

from load.keys import Key

Script: TypeAlias = Generator[bytes | None, bytes, None]

_encode = msgspec.json.encode


@dataclass(frozen=True)
class Member:
    """A user and the room to join."""

    number: int
    room_id: str

    @property
    def user_id(self) -> str:
        return f"user{self.number:05d}"


class RefusedByServer(Exception):
    """The server answered a script's text with an error."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"the server refused a client: {self.text[:200]!r}"


class Dialect(Protocol):
    """The protocol of one server."""

    path: str
    """Path of the HTTP request that opens the WebSocket."""

    def join_script(self, member: Member) -> Script:
        """Return the script that joins the member's room over a new WebSocket."""
        ...

    def message_text(self, content: str) -> bytes:
        """Return the text that sends a message to the room."""
        ...


def _until(marker: bytes, text: bytes | None) -> Script:
    """Send the text, if any, and wait for a text that contains the marker. Raises `RefusedByServer`."""
    answer = yield text
    while marker not in answer:
        if b'"error"' in answer:
            raise RefusedByServer(answer)
        answer = yield None


class PlainJson:
    """The dialect of most other servers: a join without a login, then JSON messages."""

    path = "/ws"

    def join_script(self, member: Member) -> Script:
        yield from _until(b'"joined"', _join(member, member.room_id))

    def message_text(self, content: str) -> bytes:
        return _encode({"type": "chat_message", "content": content})


class SocketIO:
    """Socket.IO protocol 5 on Engine.IO protocol 4, over WebSocket from the start."""

    path = "/socket.io/?EIO=4&transport=websocket"

    def join_script(self, member: Member) -> Script:
        yield from _until(b'0{"sid"', None)
        yield from _until(b"40", b"40")
        yield from _until(b'"joined"', b"42" + _encode(["join", {"userId": member.user_id, "roomId": member.room_id}]))

    def message_text(self, content: str) -> bytes:
        return b"42" + _encode(["chat_message", {"content": content}])


class ChatActors(PlainJson):
    """The dialect of this server: registration, challenge, signature, join."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    def join_script(self, member: Member) -> Script:
        yield from self.register(member)
        yield from self.log_in(member)
        yield from super().join_script(member)

    def join_all_script(self, member: Member, room_ids: Sequence[str]) -> Script:
        """Return the script that joins several rooms over one new WebSocket."""
        yield from self.register(member)
        yield from self.log_in(member)
        for room_id in room_ids:
            yield from _until(_encode(f"Joined room: {room_id}"), _join(member, room_id, additional=True))

    def register(self, member: Member) -> Script:
        key = self._key(member).public_pem
        yield from _until(b'"registered"', _encode({"type": "register", "userId": member.user_id, "publicKey": key}))

    def log_in(self, member: Member) -> Script:
        answer = yield _encode({"type": "get_challenge"})
        if b'"challenge"' not in answer:
            raise RefusedByServer(answer)
        signature = self._key(member).sign(base64.b64decode(msgspec.json.decode(answer)["challenge"]))
        text = base64.b64encode(signature).decode()
        yield from _until(
            b'"authenticated"', _encode({"type": "authenticate", "userId": member.user_id, "signature": text})
        )

    def _key(self, member: Member) -> Key:
        return self._keys[member.number % len(self._keys)]


def _join(member: Member, room_id: str, **more: bool) -> bytes:
    return _encode({"type": "join", "userId": member.user_id, "roomId": room_id, **more})
