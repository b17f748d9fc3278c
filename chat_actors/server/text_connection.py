"""A WebSocket on an ASGI server without our transport: each text goes through ASGI's `receive` and `send`."""

from __future__ import annotations

import anyio
import msgspec
from quart import Websocket

from chat_actors.chat import Closing, Frame, QueueOutbox, SessionMessage
from chat_actors.kernel import ActorStopped, Hosted
from chat_actors.protocol import NO_BINARY, CloseCode, retry_after
from chat_actors.server.transport import PeerDisconnected

CLOSE_WITHIN = 1.0
"""Seconds in which a client can still read the waiting messages, once its WebSocket is to be closed."""


class TextConnection(msgspec.Struct, frozen=True):
    """Runs a task that reads, a task that writes, and the session in the handler's own task."""

    socket: Websocket
    session: Hosted[SessionMessage]
    outbox: QueueOutbox
    frame_bytes: int

    async def serve(self) -> None:
        """Accept the WebSocket and transfer texts in both directions. Returns when the connection has ended."""
        try:
            await self.socket.accept()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._carry)
                await self.session.run()
                self.outbox.close(CloseCode.SERVICE_RESTART, retry_after(0))  # stopped before its start, or cancelled
        finally:
            self.session.ref.stop()

    async def _carry(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, tasks.cancel_scope)
            tasks.start_soon(self._write_until_closed, tasks.cancel_scope)
        self.session.ref.stop()

    async def _read(self, connection: anyio.CancelScope) -> None:
        """Pass each text to the session. While its mailbox is full, do not read, so that the client has to wait.

        Once the WebSocket is to be closed, input is dropped, up to the client's own Close.
        """
        try:
            while True:
                data = await self.socket.receive()
                if self.outbox.closing is not None:
                    continue
                if isinstance(data, bytes):
                    self.outbox.close(CloseCode.UNSUPPORTED_DATA, NO_BINARY)
                elif self.frame_bytes and len(data.encode()) > self.frame_bytes:
                    self.outbox.close(CloseCode.TOO_BIG, f"a message may have at most {self.frame_bytes} bytes")
                else:
                    await self._pass_on(data)
        except PeerDisconnected:
            self.outbox.close(CloseCode.NORMAL, "the client has disconnected")
            connection.cancel()

    async def _pass_on(self, text: str) -> None:
        try:
            await self.session.ref.send(Frame(text))
        except ActorStopped:
            self.outbox.close(CloseCode.INTERNAL_ERROR, "the session has ended; reconnect")

    async def _write_until_closed(self, connection: anyio.CancelScope) -> None:
        written = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, written)
            closing = await self.outbox.wait_closed()
            with anyio.move_on_after(CLOSE_WITHIN):
                await written.wait()
            tasks.cancel_scope.cancel()
        if written.is_set():
            await anyio.sleep(CLOSE_WITHIN)  # ended early by the client's own Close
        else:
            with anyio.move_on_after(CLOSE_WITHIN):
                await self._close(closing)  # overtakes the unread messages, if the server allows it
        connection.cancel()

    async def _write(self, written: anyio.Event) -> None:
        try:
            while not isinstance(texts := await self.outbox.take(), Closing):
                for text in texts:
                    await self.socket.send(text)
        except OSError:
            # ASGI reports the disconnect. The reader gets it too, behind the client's last messages.
            await anyio.sleep(CLOSE_WITHIN)
            self.outbox.close(CloseCode.NORMAL, "the client has disconnected")
        else:
            await self._close(texts)
        written.set()

    async def _close(self, closing: Closing) -> None:
        await self.socket.close(int(closing.code), closing.reason[:100])
