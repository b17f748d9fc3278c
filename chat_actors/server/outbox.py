"""The outbox that writes ready frames to its socket, or to its HTTP/2 stream."""

from __future__ import annotations

from chat_actors.chat import Block, Closing
from chat_actors.protocol import CloseCode
from chat_actors.server.transport import FrameWriter


class FrameOutbox:
    """Implements `Outbox`. Writes an offered block to the transport at once; nothing waits here.

    It needs no task, no queue and no encoding for each client, so a delivery in a room of 200 costs a tenth of one
    through a queue and a writer task. The bound is the transport's (`Bounds.backlog_bytes`), which notifies the
    connection when it is exceeded.
    """

    __slots__ = ("_is_compressed", "_write", "_writer", "closing")

    def __init__(self) -> None:
        self.closing: Closing | None = None
        self._writer: FrameWriter | None = None

    def open(self, writer: FrameWriter) -> None:
        """Attach the accepted WebSocket. To be called once, before anything is offered."""
        self._writer = writer
        self._write = writer.write
        self._is_compressed = writer.is_compressed
        if self.closing is not None:
            writer.close(int(self.closing.code), self.closing.reason)

    def offer(self, block: Block) -> bool:
        if self.closing is not None:
            return False
        self._write(block.compressed if self._is_compressed else block.frames)
        return self.closing is None

    def close(self, code: CloseCode, reason: str) -> None:
        if self.closing is None:
            self.closing = Closing(code, reason)
            if self._writer is not None:
                self._writer.close(int(code), reason)

    @property
    def backlog(self) -> int:
        return 0 if self._writer is None else self._writer.backlog()

    def disconnected(self) -> None:
        """The client has disconnected: drop all further blocks, and send no Close."""
        if self.closing is None:
            self.closing = Closing(CloseCode.NORMAL, "the client has disconnected")
