"""Connects one WebSocket with its session, until either ends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
from quart import Websocket

from chat_actors.chat import Admit, Chat, Closing, Frame, Limits, Outbox, Peer, QueueOutbox, SessionMessage
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Hosted
from chat_actors.protocol import NO_BINARY, CloseCode, retry_after, too_slow
from chat_actors.server.outbox import FrameOutbox
from chat_actors.server.text_connection import TextConnection
from chat_actors.server.transport import EXTENSION, Bounds, Control, FrameWriter

logger = logging.getLogger(__name__)

ADMIT_WITHIN = 10.0
"""Seconds that a new connection waits for its session."""


def control_of(socket: Websocket) -> Control | None:
    """The transport under a WebSocket, or None on a server without our transport."""
    extensions: dict[str, Any] = socket.scope.get("extensions") or {}
    return extensions.get(EXTENSION)


class DirectConnection:
    """Implements `Receiver`: the session handles a message in the turn in which it is read from the socket."""

    __slots__ = ("_address", "_backlog_bytes", "_session", "_writer", "outbox")

    def __init__(self, address: str, limits: Limits) -> None:
        self.outbox = FrameOutbox()
        self._address = address
        self._backlog_bytes = limits.backlog_bytes
        self._session: Hosted[SessionMessage]
        self._writer: FrameWriter | None = None

    def take_over(self, control: Control, session: Hosted[SessionMessage]) -> None:
        """Run the session in the connection's task."""
        self._session = session
        self._writer = control.take_over(self, self.run)
        self.outbox.open(self._writer)

    def resume(self) -> None:
        """Read the socket again: the session has handled its messages."""
        if self._writer is not None:
            self._writer.resume()

    async def run(self) -> None:
        """Run the session. Returns when it has ended; the transport then closes the connection."""
        path = self._session.ref.path
        try:
            await self._session.run()
        finally:
            self.outbox.close(CloseCode.SERVICE_RESTART, retry_after(0))  # cancelled, or ended before it began
        log_closing(path, self._address, self.outbox)

    def text(self, text: str) -> bool:
        return self._session.ref.deliver_nowait(Frame(text)) or self._session.ref.is_stopped

    def binary(self, data: bytes) -> bool:
        self.outbox.close(CloseCode.UNSUPPORTED_DATA, NO_BINARY)
        return True

    def overflowed(self) -> None:
        self.outbox.close(CloseCode.TOO_SLOW, too_slow(self._backlog_bytes))
        self._session.ref.stop()

    def unreachable(self) -> None:
        if self.outbox.closing is None:
            logger.info(
                "%s: the client at %s has disconnected; its remaining messages are still handled",
                self._session.ref.path,
                self._address,
            )
        self.outbox.disconnected()

    def ended(self, code: int) -> None:
        if self.outbox.closing is None:
            logger.info("%s: the client at %s has disconnected (%d)", self._session.ref.path, self._address, code)
        self.outbox.disconnected()
        self._session.ref.stop()


def log_closing(path: str, address: str, outbox: Outbox) -> None:
    """Log a connection that the server closes, unless the code is 1000."""
    closing = outbox.closing
    if closing is not None and closing.code is not CloseCode.NORMAL:
        logger.info("%s: closing the client at %s (%d %s)", path, address, closing.code, closing.reason)


def _stop_unused(asking: asyncio.Task[Hosted[SessionMessage] | Closing]) -> None:
    """Stop the requested session, if the gate has made one: its connection is closed."""
    if not asking.cancelled() and asking.exception() is None and isinstance(session := asking.result(), Hosted):
        session.ref.stop()


class Connection(msgspec.Struct, frozen=True):
    """Serves one WebSocket."""

    chat: Chat
    limits: Limits
    address: str
    compression: bool = False

    async def serve(self, socket: Websocket) -> None:
        """Admit the client, or close the connection with the reason.

        On our own transport, returns once the session has taken over the connection; the session then runs without
        Quart. On any other server, returns when the connection has ended.
        """
        control = control_of(socket)
        if control is None:
            await self._serve_texts(socket)
        else:
            await self._serve_directly(socket, control)

    async def _serve_directly(self, socket: Websocket, control: Control) -> None:
        bounds = Bounds(
            frame_bytes=self.limits.frame_bytes,
            backlog_bytes=self.limits.backlog_bytes,
            ping_seconds=self.limits.ping_seconds,
        )
        control.limit(bounds)
        if self.compression:
            control.allow_compression()
        connection = DirectConnection(self.address, self.limits)
        session = await self._admit(Peer(self.address, connection.outbox, connection.resume))
        if isinstance(session, Closing):
            await self._close(socket, session)
            return
        try:
            await socket.accept()
            connection.take_over(control, session)
        except BaseException:
            session.ref.stop()
            raise

    async def _serve_texts(self, socket: Websocket) -> None:
        outbox = QueueOutbox(self.limits.backlog_bytes)
        session = await self._admit(Peer(self.address, outbox))
        if isinstance(session, Closing):
            await self._close(socket, session)
        else:
            await TextConnection(socket, session, outbox, self.limits.frame_bytes).serve()
            log_closing(session.ref.path, self.address, outbox)

    async def _admit(self, peer: Peer) -> Hosted[SessionMessage] | Closing:
        # In a task that outlives this one: otherwise a session made after the cancellation would have no owner, and
        # never end. (anyio's shield stops anyio's cancellation only; ASGI servers use asyncio's.)
        asking = asyncio.create_task(self.chat.gate.ask(Admit(peer), timeout=ADMIT_WITHIN))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(_stop_unused)
            raise
        except ActorStopped:
            closing = Closing(CloseCode.SERVICE_RESTART, retry_after(0))
        except (AskFailed, AskTimeout):
            closing = Closing(CloseCode.TRY_AGAIN_LATER, "the server is busy; try again later")
        peer.outbox.close(closing.code, closing.reason)  # the gate does not admit a peer with a closed outbox
        return closing

    async def _close(self, socket: Websocket, closing: Closing) -> None:
        await socket.accept()
        await socket.close(int(closing.code), closing.reason)
