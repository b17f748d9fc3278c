"""Hypercorn's TCP connection, with an end that comes whatever the client does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from typing import Any

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import AsyncioSingleTask

CLOSE_WITHIN = 2.0
"""Seconds that a client gets to take what is in the socket's buffer before the connection is cut."""


class IdleTimer(AsyncioSingleTask):
    """The connection's idle timer, which is not started any more once the connection is being cancelled.

    A stream that ends then wants it restarted, and the task group takes no more tasks; Hypercorn's own raises, and the
    cancellation becomes an error of the app's.
    """

    async def restart(self, task_group: Any, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        timeout = action()
        try:
            await super().restart(task_group, lambda: timeout)
        except RuntimeError:
            timeout.close()


def _keep_alive(connection: Any) -> None:
    """Have the kernel probe a silent peer, so that one that has vanished without a word is gone after two minutes."""
    if connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, option):  # not every platform has all three
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class ChatTCPServer(TCPServer):
    """Closes in bounded time, and can be cancelled while its streams end."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.idle_task = IdleTimer()
        _keep_alive(self.writer.get_extra_info("socket"))

    async def _close(self) -> None:
        # writer.close() waits for its buffer to empty, and a client that does not read keeps it waiting for ever.
        cut = self.loop.call_later(CLOSE_WITHIN, self.writer.transport.abort)
        try:
            await super()._close()
        finally:
            cut.cancel()
