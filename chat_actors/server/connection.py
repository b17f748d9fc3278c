"""One WebSocket: between its socket and its session, until either ends."""

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
    """The transport under a WebSocket, on a server that has ours."""
    extensions: dict[str, Any] = socket.scope.get("extensions") or {}
    return extensions.get(EXTENSION)


class DirectConnection:
    """Implements `Receiver`: what the transport takes off the socket is handled by the session in the same turn."""

    __slots__ = ("_address", "_backlog_bytes", "_session", "_writer", "outbox")

    def __init__(self, address: str, limits: Limits) -> None:
        self.outbox = FrameOutbox()
        self._address = address
        self._backlog_bytes = limits.backlog_bytes
        self._session: Hosted[SessionMessage]
        self._writer: FrameWriter | None = None

    def take_over(self, control: Control, session: Hosted[SessionMessage]) -> None:
        """From here on the connection's task is the session's."""
        self._session = session
        self._writer = control.take_over(self, self.run)
        self.outbox.open(self._writer)

    def resume(self) -> None:
        """The session has nothing left to do."""
        if self._writer is not None:
            self._writer.resume()

    async def run(self) -> None:
        """The session's life. Returns when it has ended; the transport then sees to the client's end."""
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
            logger.info("%s: the client at %s is gone, and what it sent is done", self._session.ref.path, self._address)
        self.outbox.forsake()

    def ended(self, code: int) -> None:
        if self.outbox.closing is None:
            logger.info("%s: the client at %s has gone (%d)", self._session.ref.path, self._address, code)
        self.outbox.forsake()
        self._session.ref.stop()


def log_closing(path: str, address: str, outbox: Outbox) -> None:
    """One line for each client that was closed and did not go by itself."""
    closing = outbox.closing
    if closing is not None and closing.code is not CloseCode.NORMAL:
        logger.info("%s: closing the client at %s (%d %s)", path, address, closing.code, closing.reason)


def _abandon(asked: asyncio.Task[Hosted[SessionMessage] | Closing]) -> None:
    """End the session that was asked for, if there is one: its connection has gone meanwhile."""
    if not asked.cancelled() and asked.exception() is None and isinstance(session := asked.result(), Hosted):
        session.ref.stop()


class Connection(msgspec.Struct, frozen=True):
    """What one WebSocket needs to be served."""

    chat: Chat
    limits: Limits
    address: str
    compression: bool = False

    async def serve(self, socket: Websocket) -> None:
        """Let the client in, or close it with the reason.

        On our own transport this returns once the connection has been handed over to its session, which then lives
        without Quart; on any other server when the connection is over.
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
            await self._turn_away(socket, session)
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
            await self._turn_away(socket, session)
        else:
            await TextConnection(socket, session, outbox, self.limits.frame_bytes).serve()
            log_closing(session.ref.path, self.address, outbox)

    async def _admit(self, peer: Peer) -> Hosted[SessionMessage] | Closing:
        # In a task that outlives this one: a session that is opened when nobody waits for it any more would stay for
        # ever. (anyio's shield holds off anyio's cancellation; ASGI servers cancel by asyncio's.)
        asking = asyncio.create_task(self.chat.gate.ask(Admit(peer), timeout=ADMIT_WITHIN))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(_abandon)
            raise
        except ActorStopped:
            closing = Closing(CloseCode.SERVICE_RESTART, retry_after(0))
        except (AskFailed, AskTimeout):
            closing = Closing(CloseCode.TRY_AGAIN_LATER, "the server is busy; try again later")
        peer.outbox.close(closing.code, closing.reason)  # so the gate, if it comes to it, lets nobody in
        return closing

    async def _turn_away(self, socket: Websocket, closing: Closing) -> None:
        await socket.accept()
        await socket.close(int(closing.code), closing.reason)
