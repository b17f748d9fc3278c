"""One WebSocket: between its socket and its session, until either ends."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import msgspec
from quart import Websocket

from chat_actors.chat import Admit, Chat, Closing, Frame, Limits, Peer, QueueOutbox, SessionRef
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout
from chat_actors.protocol import CloseCode
from chat_actors.server.transport import EXTENSION, Bounds, Control, PeerDisconnected

logger = logging.getLogger(__name__)

ADMIT_WITHIN = 10.0
"""Seconds that a new connection waits for its session."""

GOODBYE_WITHIN = 1.0
"""Seconds that a client gets to take what still waits for it, once its socket is to be closed."""


class Connection(msgspec.Struct, frozen=True):
    """What one WebSocket needs to be served."""

    chat: Chat
    limits: Limits
    address: str

    async def serve(self, socket: Websocket) -> None:
        """Accept the socket and carry texts both ways. Returns when the connection is over, however it ends."""
        extensions: dict[str, Any] = socket.scope.get("extensions") or {}
        control: Control | None = extensions.get(EXTENSION)
        if control is not None:
            control.limit(Bounds(frame_bytes=self.limits.frame_bytes))
        outbox = QueueOutbox(self.limits.backlog_bytes)
        admitted = await self._admit(outbox)
        if isinstance(admitted, Closing):
            outbox.close(admitted.code, admitted.reason)
            await socket.accept()
            await self._write(socket, outbox, anyio.Event())
            return
        try:
            await socket.accept()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, socket, outbox, admitted, tasks.cancel_scope)
                tasks.start_soon(self._write_until_closed, socket, outbox, control, admitted.path, tasks.cancel_scope)
        finally:
            admitted.stop()

    async def _admit(self, outbox: QueueOutbox) -> SessionRef | Closing:
        try:
            # Shielded: a session that is opened while nobody waits for its ref any more would stay for ever.
            with anyio.CancelScope(shield=True):
                return await self.chat.gate.ask(Admit(Peer(self.address, outbox)), timeout=ADMIT_WITHIN)
            raise AssertionError("nothing cancels this scope")
        except ActorStopped:
            return Closing(CloseCode.SERVICE_RESTART, "the server is stopping; reconnect")
        except (AskFailed, AskTimeout):
            return Closing(CloseCode.TRY_AGAIN_LATER, "the server is busy; try again later")

    async def _read(
        self, socket: Websocket, outbox: QueueOutbox, session: SessionRef, connection: anyio.CancelScope
    ) -> None:
        """Hand each text to the session; when that is full, stop reading: the client's own sending then stalls.

        Once the socket is to be closed, what still comes is thrown away, up to the client's own Close.
        """
        try:
            while True:
                data = await socket.receive()
                if outbox.closing is not None:
                    continue
                if isinstance(data, bytes):
                    outbox.close(CloseCode.UNSUPPORTED_DATA, "send JSON in text frames, not in binary ones")
                elif self.limits.frame_bytes and len(data.encode()) > self.limits.frame_bytes:
                    outbox.close(CloseCode.TOO_BIG, f"a message may have at most {self.limits.frame_bytes} bytes")
                else:
                    await self._pass_on(data, outbox, session)
        except PeerDisconnected as gone:
            if outbox.closing is None:  # otherwise its closing has been logged
                logger.info("%s: the client at %s has gone (%d)", session.path, self.address, gone.code)
            connection.cancel()

    async def _pass_on(self, text: str, outbox: QueueOutbox, session: SessionRef) -> None:
        try:
            await session.send(Frame(text))
        except ActorStopped:
            outbox.close(CloseCode.INTERNAL_ERROR, "the session has ended; reconnect")

    async def _write_until_closed(
        self, socket: Websocket, outbox: QueueOutbox, control: Control | None, path: str, connection: anyio.CancelScope
    ) -> None:
        written = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, socket, outbox, written)
            closing = await outbox.wait_closed()
            logger.info("%s: closing the client at %s (%d %s)", path, self.address, closing.code, closing.reason)
            with anyio.move_on_after(GOODBYE_WITHIN):
                await written.wait()
            tasks.cancel_scope.cancel()
        if written.is_set():
            await anyio.sleep(GOODBYE_WITHIN)  # for the client's own Close, which cuts this short
        elif control is not None:
            # It does not take its goodbye: neither a close frame nor close() gets past a full buffer.
            await control.abort()
        connection.cancel()

    async def _write(self, socket: Websocket, outbox: QueueOutbox, written: anyio.Event) -> None:
        while not isinstance(batch := await outbox.take(), Closing):
            for text in batch:
                await socket.send(text)
        await socket.close(int(batch.code), batch.reason[:100])
        written.set()
