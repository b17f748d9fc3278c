"""Hypercorn's TCP connection, with an end that comes whatever the client does."""

from __future__ import annotations

from hypercorn.asyncio.tcp_server import TCPServer

CLOSE_WITHIN = 2.0
"""Seconds that a client gets to take what is in the socket's buffer before the connection is cut."""


class ChatTCPServer(TCPServer):
    """`writer.close()` waits for its buffer to empty, and a client that does not read keeps it waiting for ever."""

    async def _close(self) -> None:
        cut = self.loop.call_later(CLOSE_WITHIN, self.writer.transport.abort)
        try:
            await super()._close()
        finally:
            cut.cancel()
