"""Hypercorn's HTTP/1.1 as the carrier of a WebSocket: its one stream is the connection."""

from __future__ import annotations

from hypercorn.protocol.h11 import H11Protocol

from chat_actors.server.transport.tcp_server import server_of


class ChatH11Protocol(H11Protocol):
    """Implements `Carrier`."""

    stops_reading = True

    def write(self, stream_id: int, data: bytes) -> None:
        server_of(self.send).write(data)

    def backlog(self, stream_id: int) -> int:
        return server_of(self.send).writer.transport.get_write_buffer_size()

    def consumed(self, stream_id: int) -> None:
        """TCP's own window does it: the connection is read again."""

    def finish(self, stream_id: int, *, peer_is_done: bool) -> None:
        server_of(self.send).finish(peer_is_done=peer_is_done)

    def abort(self, stream_id: int) -> None:
        server_of(self.send).abort()
