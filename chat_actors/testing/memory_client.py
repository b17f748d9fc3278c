"""A client of a server in memory."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from chat_actors.chat import Closing, Frame, QueueOutbox
from chat_actors.client import public_pem
from chat_actors.identity import parse_public_key, sign
from chat_actors.kernel import Hosted

__all__ = ["MemoryClient", "public_key"]


@functools.cache
def _key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)  # shared by all users, because generating one takes 50 ms


def public_key() -> bytes:
    """The public key of all users, as accounts store it."""
    return parse_public_key(public_pem(_key())).spki


class MemoryClient:
    """A connection to a `MemoryServer`, as its `connect` returns it.

    Received messages wait until `hear` or `expect` takes them. A message is a dict with fields as on the wire.

    Attributes:
        user_id: The user that is logged in, or empty.
        outbox: The server's queue of messages for this client.
    """

    def __init__(self, settle: Callable[[], Awaitable[None]], backlog_bytes: int) -> None:
        self.outbox = QueueOutbox(backlog_bytes)
        self.user_id = ""
        self._settle = settle
        self._received: deque[dict[str, Any]] = deque()
        self._unsent: deque[Frame] = deque()
        self._session: Hosted[Any]

    def begin(self, session: Hosted[Any]) -> None:
        """Attach the session. Called by the server."""
        self._session = session

    def resume(self) -> None:
        """Deliver the frames that the session did not accept before. Called by the server."""
        ref = self._session.ref
        while self._unsent and (ref.deliver_nowait(self._unsent[0]) or ref.is_stopped):
            self._unsent.popleft()

    async def send(self, type: str, **fields: Any) -> None:  # noqa: A002 - as it is called on the wire
        """Send a command and wait until the server has handled it.

        Args:
            type: The `type` of the command.
            fields: The other fields, named as on the wire (`roomId`).
        """
        self.send_nowait(type, **fields)
        await self._settle()

    def send_nowait(self, type: str, **fields: Any) -> None:  # noqa: A002 - as it is called on the wire
        """Send a command without waiting. Arguments as of `send`."""
        self._unsent.append(Frame(msgspec.json.encode({"type": type, **fields}).decode()))
        self.resume()

    async def log_in(self, user_id: str) -> None:
        """Register the user, unless it exists, and log in. Discards all messages received so far.

        Args:
            user_id: 3 to 32 of `a-z A-Z 0-9 _ -`.

        Raises:
            AssertionError: The server refused the login.
        """
        await self.send("register", userId=user_id, publicKey=public_pem(_key()))
        await self.send("get_challenge")
        challenge = self.expect("challenge")["challenge"]
        await self.send("authenticate", userId=user_id, signature=sign(_key(), challenge))
        self.expect("authenticated")
        self.user_id = user_id
        self.hear()

    async def join(self, room: str) -> None:
        """Send `join` for a room. The answer waits to be taken: `joined`, or an `error`."""
        await self.send("join", userId=self.user_id, roomId=room)

    async def say(self, content: str) -> None:
        """Post a message to the room that the client is in."""
        await self.send("chat_message", content=content)

    async def disconnect(self) -> None:
        """Close the connection."""
        self._session.ref.stop()
        await self._settle()

    @property
    def closing(self) -> Closing | None:
        """The close code and reason if the server has closed the connection, else None."""
        return self.outbox.closing

    def hear(self) -> list[dict[str, Any]]:
        """Take all waiting messages.

        Returns:
            The messages, oldest first; an empty list if there are none.
        """
        self._take()
        received = list(self._received)
        self._received.clear()
        return received

    def expect(self, type: str) -> dict[str, Any]:  # noqa: A002 - as it is called on the wire
        """Take the next waiting message of a type. Earlier messages of other types are discarded.

        Args:
            type: The `type` of the message.

        Returns:
            The message.

        Raises:
            AssertionError: No such message waits. All waiting messages are discarded, and the text lists them.
        """
        self._take()
        skipped = []
        while self._received:
            message = self._received.popleft()
            if message["type"] == type:
                return message
            skipped.append(message)
        raise AssertionError(f"no {type!r} was received, only {skipped}")

    def _take(self) -> None:
        self._received.extend(msgspec.json.decode(text) for text in self.outbox.take_all())
